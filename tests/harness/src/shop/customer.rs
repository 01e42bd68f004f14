//! A customer who orders, pays and downloads by hand.

use url::Url;

use crate::wait::{PATIENCE, poll, wait_for};
use crate::web::html::Form;
use crate::web::visitor::{Answer, Visitor};

/// Somebody who buys.
#[derive(Debug)]
pub struct Customer {
    /// His requests.
    pub visitor: Visitor,
}

/// An invoice as the shop's page has it.
#[derive(Clone, Debug)]
pub struct Billed {
    /// The page of the order.
    pub order: Url,
    /// The page with the form.
    pub page: Answer,
    /// The form, which goes to the billing server.
    pub form: Form,
}

impl Billed {
    /// The invoice itself.
    ///
    /// # Panics
    /// When the form has none.
    #[must_use]
    pub fn invoice(&self) -> &str {
        self.form.value("invoice").expect("an invoice in the form")
    }
}

impl Customer {
    /// Who asks so.
    #[must_use]
    pub fn new(visitor: Visitor) -> Self {
        Self { visitor }
    }

    /// Orders: the order's page.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn order(&mut self, shop: &str, good: &str) -> Url {
        let page = self
            .visitor
            .get(format!("https://{shop}/goods/{good}"))
            .expect(200);
        let form = page.form("/order");
        self.visitor.submit(&page, &form).expect(303).location()
    }

    /// Chooses a method of payment by its key, once it is offered: the invoice's form.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn choose(&mut self, order: &Url, thumbprint: &str) -> Billed {
        let mut last = String::new();
        let offered = poll(PATIENCE, || {
            let methods = self.visitor.get(format!("{order}/methods")).expect(200);
            last = methods.text();
            let mut forms = Form::all(&last).into_iter();
            let form = forms.find(|form| form.value("server") == Some(thumbprint))?;
            Some((methods, form))
        });
        let (methods, form) =
            offered.unwrap_or_else(|| panic!("{thumbprint} is not offered:\n{last}"));
        let chosen = self.visitor.submit(&methods, &form).expect(303);
        let page = self.visitor.follow(chosen).expect(200);
        let form = Form::all(&page.text())
            .into_iter()
            .find(|form| form.value("invoice").is_some())
            .unwrap_or_else(|| panic!("no invoice at {}:\n{}", page.url, page.text()));
        Billed {
            order: order.clone(),
            page,
            form,
        }
    }

    /// Orders, and chooses.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn bill(&mut self, shop: &str, good: &str, thumbprint: &str) -> Billed {
        let order = self.order(shop, good);
        self.choose(&order, thumbprint)
    }

    /// Fills in the form, and sends it: what the billing server answers.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn pay(&mut self, billed: &Billed, fields: &[(&str, &str)]) -> Answer {
        let mut form = billed.form.clone();
        for (name, value) in fields {
            form = form.with(name, value);
        }
        self.visitor.submit(&billed.page, &form)
    }

    /// Waits until the shop says that an order is paid: where the goods are.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_for_goods(&mut self, order: &Url) -> Url {
        wait_for("the goods", PATIENCE, || self.goods(order))
    }

    /// Where the goods are, if the order's page says that it is paid.
    #[track_caller]
    pub fn goods(&mut self, order: &Url) -> Option<Url> {
        let page = self.visitor.get(order).text();
        let from = page.find("id=\"download\" href=\"")? + 20;
        let link = page.get(from..)?.split('"').next()?;
        order.join(link).ok()
    }

    /// From the order to the octets.
    ///
    /// # Panics
    /// When anything is refused.
    #[track_caller]
    pub fn buy(
        &mut self,
        shop: &str,
        good: &str,
        thumbprint: &str,
        fields: &[(&str, &str)],
    ) -> Vec<u8> {
        let billed = self.bill(shop, good, thumbprint);
        let answer = self.pay(&billed, fields).expect(303);
        self.visitor.follow(answer).expect(200);
        let goods = self.wait_for_goods(&billed.order);
        self.visitor.get(goods).expect(200).body
    }
}
