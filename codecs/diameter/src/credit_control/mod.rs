//! Diameter credit control (RFC 8506) and the call's description of TS 32.299 that CCR carries.

mod answer;
mod final_unit;
mod invoice;
mod money;
mod request;
mod service_information;
mod services;
mod subscription;
mod types;
mod units;

pub use answer::CreditControlAnswer;
pub use final_unit::{
    FinalUnitIndication, QosFinalUnitIndication, RedirectServer, RedirectServerExtension,
};
pub use invoice::{INVOICE_CONTEXT, InvalidInvoice, InvoiceParameters};
pub use money::{CcMoney, CostInformation, UnitValue};
pub use request::CreditControlRequest;
pub use service_information::{
    CauseCode, EventType, ImsInformation, InterOperatorIdentifier, NodeFunctionality, RoleOfNode,
    SdpMediaComponent, ServiceInformation, TimeStamps,
};
pub use services::{GsuPoolReference, MultipleServicesCreditControl, ServiceParameterInfo};
pub use subscription::{
    SubscriptionId, SubscriptionIdExtension, UserEquipmentInfo, UserEquipmentInfoExtension,
};
pub use types::{
    CcRequestType, CcSessionFailover, CcUnitType, CheckBalanceResult, CreditControlFailureHandling,
    DirectDebitingFailureHandling, FinalUnitAction, MultipleServicesIndicator, RedirectAddressType,
    RequestedAction, SubscriptionIdType, TariffChangeUsage, UserEquipmentInfoType,
};
pub use units::{GrantedServiceUnit, RequestedServiceUnit, UsedServiceUnit};
