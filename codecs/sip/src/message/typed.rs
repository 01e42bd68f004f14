//! Typed header values, parsed on demand.

use super::{Message, elements};
use crate::address::{Contacts, NameAddr};
use crate::digest::{Challenge, Credentials};
use crate::error::{HeaderError, Problem};
use crate::header::HeaderName;
use crate::text;
use crate::values::{self, CSeq, MinSe, RAck, SessionExpires};
use crate::via::Via;

impl Message {
    /// The topmost Via.
    pub fn via(&self) -> Result<Via<'_>, HeaderError> {
        self.vias().next().unwrap_or(Err(HeaderError {
            header: HeaderName::Via,
            problem: Problem::Missing,
        }))
    }

    /// Each Via from the topmost down.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'_>, HeaderError>> {
        self.each(HeaderName::Via, Via::parse)
    }

    /// From.
    pub fn from(&self) -> Result<NameAddr<'_>, HeaderError> {
        self.required(HeaderName::From, NameAddr::parse)
    }

    /// To.
    pub fn to(&self) -> Result<NameAddr<'_>, HeaderError> {
        self.required(HeaderName::To, NameAddr::parse)
    }

    /// Call-ID: `word ["@" word]`, any characters but white space.
    pub fn call_id(&self) -> Result<&str, HeaderError> {
        self.required(HeaderName::CallId, |text| {
            if text.is_empty() || text.bytes().any(|byte| byte <= b' ') {
                Err(Problem::Malformed)
            } else {
                Ok(text)
            }
        })
    }

    /// CSeq.
    pub fn cseq(&self) -> Result<CSeq, HeaderError> {
        self.required(HeaderName::CSeq, CSeq::parse)
    }

    /// Max-Forwards, 0 to 255.
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        self.optional(HeaderName::MaxForwards, |text| {
            values::number_u32(text)
                .and_then(|number| u8::try_from(number).map_err(|_| Problem::OutOfRange))
        })
    }

    /// The contacts of all Contact header fields.
    pub fn contacts(&self) -> Result<Contacts<'_>, HeaderError> {
        let mut list = Vec::new();
        let all = self.each_contact(|contact| list.push(contact))?;
        Ok(if all {
            Contacts::All
        } else {
            Contacts::List(list)
        })
    }

    /// Whether [`Message::contacts`] would succeed, without making the list.
    pub(crate) fn check_contacts(&self) -> Result<(), HeaderError> {
        self.each_contact(drop).map(drop)
    }

    /// Shows each contact; whether it is `*` instead.
    fn each_contact<'a>(&'a self, mut show: impl FnMut(NameAddr<'a>)) -> Result<bool, HeaderError> {
        let mut all = false;
        let mut any = false;
        for contact in self.each(HeaderName::Contact, |value| match value {
            "*" => Ok(None),
            value => NameAddr::parse(value).map(Some),
        }) {
            match contact? {
                Some(contact) => {
                    any = true;
                    show(contact);
                }
                None => all = true,
            }
        }
        // Contact = ("m" / "Contact" ) HCOLON ( STAR / (contact-param *(COMMA contact-param)))
        if all && any {
            return Err(HeaderError {
                header: HeaderName::Contact,
                problem: Problem::Malformed,
            });
        }
        Ok(all)
    }

    /// The first Contact: the remote target of a dialog (RFC 3261 12.1).
    pub fn contact(&self) -> Result<NameAddr<'_>, HeaderError> {
        self.each(HeaderName::Contact, NameAddr::parse)
            .next()
            .unwrap_or(Err(HeaderError {
                header: HeaderName::Contact,
                problem: Problem::Missing,
            }))
    }

    /// Each Route from the topmost down.
    pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr<'_>, HeaderError>> {
        self.each(HeaderName::Route, NameAddr::parse)
    }

    /// Each Record-Route from the topmost down.
    pub fn record_routes(&self) -> impl Iterator<Item = Result<NameAddr<'_>, HeaderError>> {
        self.each(HeaderName::RecordRoute, NameAddr::parse)
    }

    /// Expires, seconds.
    pub fn expires(&self) -> Result<Option<u32>, HeaderError> {
        self.optional(HeaderName::Expires, values::number_u32)
    }

    /// Content-Length, octets.
    pub fn content_length(&self) -> Result<Option<usize>, HeaderError> {
        self.optional(HeaderName::ContentLength, |text| {
            text::decimal(text)
                .and_then(|length| usize::try_from(length).ok())
                .ok_or(Problem::Malformed)
        })
    }

    /// Content-Type without its parameters, as written.
    pub fn media_type(&self) -> Option<&str> {
        self.header(HeaderName::ContentType)
            .map(|value| text::trim(value.split(';').next().unwrap_or_default()))
    }

    /// The body, if it is a session description (`application/sdp`).
    pub fn session_description(&self) -> Option<&[u8]> {
        let is_sdp = self
            .media_type()
            .is_some_and(|name| name.eq_ignore_ascii_case("application/sdp"));
        (is_sdp && !self.body().is_empty()).then(|| self.body())
    }

    /// RSeq (RFC 3262 7.1).
    pub fn rseq(&self) -> Result<Option<u32>, HeaderError> {
        self.optional(HeaderName::RSeq, values::number_u32)
    }

    /// RAck (RFC 3262 7.2).
    pub fn rack(&self) -> Result<Option<RAck>, HeaderError> {
        self.optional(HeaderName::RAck, RAck::parse)
    }

    /// Session-Expires (RFC 4028 4).
    pub fn session_expires(&self) -> Result<Option<SessionExpires>, HeaderError> {
        self.optional(HeaderName::SessionExpires, SessionExpires::parse)
    }

    /// Min-SE (RFC 4028 5).
    pub fn min_se(&self) -> Result<Option<MinSe>, HeaderError> {
        self.optional(HeaderName::MinSe, MinSe::parse)
    }

    /// Retry-After, seconds.
    pub fn retry_after(&self) -> Result<Option<u32>, HeaderError> {
        self.optional(HeaderName::RetryAfter, values::retry_after)
    }

    /// The option tags of Require.
    pub fn require(&self) -> impl Iterator<Item = &str> {
        self.headers(HeaderName::Require)
    }

    /// The option tags of Proxy-Require.
    pub fn proxy_require(&self) -> impl Iterator<Item = &str> {
        self.headers(HeaderName::ProxyRequire)
    }

    /// The option tags of Supported.
    pub fn supported(&self) -> impl Iterator<Item = &str> {
        self.headers(HeaderName::Supported)
    }

    /// Each Authorization.
    pub fn authorization(&self) -> impl Iterator<Item = Result<Credentials<'_>, HeaderError>> {
        self.each(HeaderName::Authorization, Credentials::parse)
    }

    /// Each Proxy-Authorization.
    pub fn proxy_authorization(
        &self,
    ) -> impl Iterator<Item = Result<Credentials<'_>, HeaderError>> {
        self.each(HeaderName::ProxyAuthorization, Credentials::parse)
    }

    /// Each Digest challenge of `name` (WWW-Authenticate or Proxy-Authenticate); other schemes are passed over.
    pub fn challenges(&self, name: HeaderName) -> impl Iterator<Item = Challenge<'_>> {
        self.header_fields(name)
            .filter_map(|text| Challenge::parse(text).ok())
    }

    fn required<'a, T>(
        &'a self,
        header: HeaderName,
        parse: impl FnOnce(&'a str) -> Result<T, Problem>,
    ) -> Result<T, HeaderError> {
        self.single(header)
            .and_then(|value| value.ok_or(Problem::Missing))
            .and_then(parse)
            .map_err(|problem| HeaderError { header, problem })
    }

    fn optional<'a, T>(
        &'a self,
        header: HeaderName,
        parse: impl FnOnce(&'a str) -> Result<T, Problem>,
    ) -> Result<Option<T>, HeaderError> {
        self.single(header)
            .and_then(|value| value.map(parse).transpose())
            .map_err(|problem| HeaderError { header, problem })
    }

    /// The only value called `header`.
    fn single(&self, header: HeaderName) -> Result<Option<&str>, Problem> {
        let mut fields = self
            .inner
            .fields
            .iter()
            .filter(|field| field.name == header);
        let Some(first) = fields.next() else {
            return Ok(None);
        };
        if fields.next().is_some() {
            return Err(Problem::Repeated);
        }
        self.inner.text(first.value).map(Some)
    }

    /// Each value called `header`, read by `parse`; a header field that is not UTF-8 is one error.
    fn each<'a, T>(
        &'a self,
        header: HeaderName,
        parse: impl Fn(&'a str) -> Result<T, Problem>,
    ) -> impl Iterator<Item = Result<T, HeaderError>> {
        self.inner
            .fields
            .iter()
            .filter(move |field| field.name == header)
            .flat_map(move |field| {
                let (values, fault) = match self.inner.text(field.value) {
                    Ok(value) => (Some(elements(header, value)), None),
                    Err(problem) => (None, Some(Err(problem))),
                };
                values.into_iter().flatten().map(Ok).chain(fault)
            })
            .map(move |value| {
                value
                    .and_then(&parse)
                    .map_err(|problem| HeaderError { header, problem })
            })
    }
}
