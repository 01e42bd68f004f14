//! A payment for somebody else's goods: what a billing server says of it in Service-Parameter-Info.
//!
//! RFC 8506 8.42 leaves it to a Service-Context-Id's specification what its parameters mean; this one's is
//! [`InvoiceParameters`].

use bytes::Bytes;

use super::{CreditControlRequest, ServiceParameterInfo};

/// The Service-Context-Id of payments of invoices.
pub const INVOICE_CONTEXT: &str = "billing@tollwire";

/// Octets of a text at the most.
const LONGEST: usize = 512;

const SERVICE: u32 = 1;
const PROVIDER: u32 = 2;
const FEE_MICRO: u32 = 3;
const TAX_BASIS_POINTS: u32 = 4;
const REFERENCE: u32 = 5;
const DEBIT: u32 = 6;

/// What a payment is for. Each is a Service-Parameter-Info whose value is text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceParameters {
    /// 1: what is bought, as the customer's bill names it.
    pub service: String,
    /// 2: who is paid, as the operator's settlements name him.
    pub provider: String,
    /// 3: what the billing server keeps of the sum, micro-units.
    pub fee_micro: i64,
    /// 4: tax that the sum contains, hundredths of a percent.
    pub tax_basis_points: u16,
    /// 5: the invoice's reference.
    pub reference: String,
    /// 6, in a refund: Session-Id of the debit that is given back.
    pub debit: Option<String>,
}

/// A parameter is missing, stands twice or makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidInvoice;

impl InvoiceParameters {
    /// As AVPs of a request.
    pub fn to_infos(&self) -> Vec<ServiceParameterInfo> {
        let all = [
            (SERVICE, self.service.clone()),
            (PROVIDER, self.provider.clone()),
            (FEE_MICRO, self.fee_micro.to_string()),
            (TAX_BASIS_POINTS, self.tax_basis_points.to_string()),
            (REFERENCE, self.reference.clone()),
        ];
        let debit = self.debit.iter().map(|debit| (DEBIT, debit.clone()));
        all.into_iter()
            .chain(debit)
            .map(|(number, value)| ServiceParameterInfo {
                service_parameter_type: number,
                service_parameter_value: Bytes::from(value),
                ..ServiceParameterInfo::default()
            })
            .collect()
    }

    /// Of a request; nothing if its context is another one.
    ///
    /// # Errors
    /// A parameter is missing, stands twice or makes no sense.
    pub fn of(request: &CreditControlRequest) -> Result<Option<Self>, InvalidInvoice> {
        if request.service_context_id != INVOICE_CONTEXT {
            return Ok(None);
        }
        let text = |number: u32| -> Result<&str, InvalidInvoice> {
            let infos = request.service_parameter_infos.iter();
            let mut of = infos.filter(|info| info.service_parameter_type == number);
            match (of.next(), of.next()) {
                (Some(info), None) => std::str::from_utf8(&info.service_parameter_value)
                    .ok()
                    .filter(|text| !text.is_empty() && text.len() <= LONGEST)
                    .filter(|text| !text.chars().any(char::is_control))
                    .ok_or(InvalidInvoice),
                _ => Err(InvalidInvoice),
            }
        };
        let is_refund = request
            .service_parameter_infos
            .iter()
            .any(|info| info.service_parameter_type == DEBIT);
        let fee_micro = text(FEE_MICRO)?.parse().map_err(|_| InvalidInvoice)?;
        let tax_basis_points = text(TAX_BASIS_POINTS)?
            .parse()
            .map_err(|_| InvalidInvoice)?;
        if fee_micro < 0 || tax_basis_points > 10_000 {
            return Err(InvalidInvoice);
        }
        Ok(Some(Self {
            service: text(SERVICE)?.into(),
            provider: text(PROVIDER)?.into(),
            fee_micro,
            tax_basis_points,
            reference: text(REFERENCE)?.into(),
            debit: is_refund.then(|| text(DEBIT)).transpose()?.map(Into::into),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> InvoiceParameters {
        InvoiceParameters {
            service: "A song".into(),
            provider: "shop.example".into(),
            fee_micro: 24_750,
            tax_basis_points: 1900,
            reference: "Zm9vYmFyZm9vYmFyZm9vYg".into(),
            debit: None,
        }
    }

    fn request(infos: Vec<ServiceParameterInfo>) -> CreditControlRequest {
        CreditControlRequest {
            service_context_id: INVOICE_CONTEXT.into(),
            service_parameter_infos: infos,
            ..CreditControlRequest::default()
        }
    }

    #[test]
    fn they_come_back_and_none_may_be_missing_or_wrong() {
        let infos = parameters().to_infos();
        let read = InvoiceParameters::of(&request(infos.clone()));
        assert_eq!(read, Ok(Some(parameters())));
        for left_out in 0..infos.len() {
            let mut fewer = infos.clone();
            fewer.remove(left_out);
            assert_eq!(InvoiceParameters::of(&request(fewer)), Err(InvalidInvoice));
            let mut twice = infos.clone();
            twice.push(infos[left_out].clone());
            assert_eq!(InvoiceParameters::of(&request(twice)), Err(InvalidInvoice));
        }
        for (index, value) in [
            (2, "-1"),
            (2, "1.5"),
            (2, "9223372036854775808"),
            (3, "10001"),
            (0, ""),
            (1, "a\nb"),
        ] {
            let mut wrong = infos.clone();
            wrong[index].service_parameter_value = value.into();
            assert_eq!(
                InvoiceParameters::of(&request(wrong)),
                Err(InvalidInvoice),
                "{value}"
            );
        }
        let refund = InvoiceParameters {
            debit: Some("bill.test;billing;x;1".into()),
            ..parameters()
        };
        let read = InvoiceParameters::of(&request(refund.to_infos()));
        assert_eq!(read, Ok(Some(refund)));
        let mut long = infos.clone();
        long[1].service_parameter_value = "x".repeat(513).into();
        assert_eq!(InvoiceParameters::of(&request(long)), Err(InvalidInvoice));
        let mut other = request(infos);
        other.service_context_id = "32274@3gpp.org".into();
        assert_eq!(InvoiceParameters::of(&other), Ok(None));
    }
}
