//! The two macros that turn a grammar of RFC 6733 3.2 into a struct with `decode` and `encode`.
//!
//! A field's type says how often the AVP stands: `T` once, `Option<T>` at most once, `Vec<T>` any
//! number of times. What is in no field goes to `extra` if it is known or has no M bit.

use bytes::Bytes;
use tollwire_wire::{Reader, Writer};

use crate::avp::{self, Avp, MAX_AVPS, MAX_DEPTH};
use crate::dictionary::{self, Definition};
use crate::error::{DataFault, DecodeError, Fault};
use crate::value::AvpData;

/// One field of a command or a group.
pub(crate) trait Field: Sized {
    /// What stands in while AVPs are being read.
    type Slot: Default;

    fn put(slot: &mut Self::Slot, avp: &Avp, depth: u8) -> Result<(), DecodeError>;
    fn finish(slot: Self::Slot, definition: &'static Definition) -> Result<Self, DecodeError>;
    fn write(&self, definition: &'static Definition, out: &mut Writer);
}

impl<T: AvpData> Field for T {
    type Slot = Option<T>;

    fn put(slot: &mut Self::Slot, avp: &Avp, depth: u8) -> Result<(), DecodeError> {
        put_once(slot, avp, depth)
    }

    fn finish(slot: Self::Slot, definition: &'static Definition) -> Result<Self, DecodeError> {
        slot.ok_or_else(|| Fault::MissingAvp(definition).into())
    }

    fn write(&self, definition: &'static Definition, out: &mut Writer) {
        write_value(self, definition, out);
    }
}

impl<T: AvpData> Field for Option<T> {
    type Slot = Option<T>;

    fn put(slot: &mut Self::Slot, avp: &Avp, depth: u8) -> Result<(), DecodeError> {
        put_once(slot, avp, depth)
    }

    fn finish(slot: Self::Slot, _: &'static Definition) -> Result<Self, DecodeError> {
        Ok(slot)
    }

    fn write(&self, definition: &'static Definition, out: &mut Writer) {
        if let Some(value) = self {
            write_value(value, definition, out);
        }
    }
}

impl<T: AvpData> Field for Vec<T> {
    type Slot = Self;

    fn put(slot: &mut Self::Slot, avp: &Avp, depth: u8) -> Result<(), DecodeError> {
        slot.push(avp.value_at(depth)?);
        Ok(())
    }

    fn finish(slot: Self::Slot, _: &'static Definition) -> Result<Self, DecodeError> {
        Ok(slot)
    }

    fn write(&self, definition: &'static Definition, out: &mut Writer) {
        for value in self {
            write_value(value, definition, out);
        }
    }
}

fn put_once<T: AvpData>(slot: &mut Option<T>, avp: &Avp, depth: u8) -> Result<(), DecodeError> {
    let value = avp.value_at(depth)?;
    match slot {
        None => *slot = Some(value),
        // Kamailio's cdp writes Origin-Host and Origin-Realm twice: to say the same again does no
        // harm. To say something else does.
        Some(first) if *first == value => {}
        Some(_) => return Err(Fault::AvpOccursTooManyTimes(avp.clone()).into()),
    }
    Ok(())
}

fn write_value<T: AvpData>(value: &T, definition: &Definition, out: &mut Writer) {
    avp::write_avp(
        out,
        definition.code,
        definition.vendor_id,
        definition.flags(),
        |out| value.encode_data(out),
    );
}

/// RFC 6733 4.1: an AVP that is not known is an error if it has the M bit, and ignored if not.
pub(crate) fn keep_extra(extra: &mut Vec<Avp>, avp: &Avp) -> Result<(), DecodeError> {
    if avp.flags.is_mandatory() && dictionary::lookup(avp.code, avp.vendor_id).is_none() {
        return Err(Fault::AvpUnsupported(avp.clone()).into());
    }
    extra.push(avp.clone());
    Ok(())
}

/// Calls `member` for each AVP of a group that stands inside `depth` others.
pub(crate) fn for_each_member(
    data: &Bytes,
    depth: u8,
    mut member: impl FnMut(&Avp) -> Result<(), DecodeError>,
) -> Result<(), DataFault> {
    if depth >= MAX_DEPTH {
        return Err(DecodeError::from(Fault::TooDeep).into());
    }
    let mut reader = Reader::new(data);
    let mut count = 0;
    while !reader.is_empty() {
        count += 1;
        if count > MAX_AVPS {
            return Err(DecodeError::from(Fault::TooManyAvps).into());
        }
        member(&avp::next_avp(data, &mut reader)?)?;
    }
    Ok(())
}

/// Defines a grouped AVP's struct from its grammar.
macro_rules! grouped {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $( $(#[$field_meta:meta])* $field:ident: $type:ty = $definition:ident ),* $(,)?
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
            /// Further AVPs of the group, kept as they came and sent as they are.
            pub extra: Vec<$crate::avp::Avp>,
        }

        impl $crate::value::AvpData for $name {
            fn decode_data(data: &bytes::Bytes, depth: u8) -> Result<Self, $crate::error::DataFault> {
                use $crate::fields::Field;
                $( let mut $field = <$type as Field>::Slot::default(); )*
                let mut extra = Vec::new();
                $crate::fields::for_each_member(data, depth, |avp| {
                    $( if avp.is(&$crate::dictionary::$definition) {
                        return <$type as Field>::put(&mut $field, avp, depth + 1);
                    } )*
                    $crate::fields::keep_extra(&mut extra, avp)
                })?;
                Ok(Self {
                    $( $field: <$type as Field>::finish($field, &$crate::dictionary::$definition)?, )*
                    extra,
                })
            }

            fn encode_data(&self, out: &mut tollwire_wire::Writer) {
                use $crate::fields::Field;
                $( Field::write(&self.$field, &$crate::dictionary::$definition, out); )*
                for avp in &self.extra {
                    avp.write(out);
                }
            }
        }
    )*};
}
pub(crate) use grouped;

/// Defines a command's struct from its grammar, as
/// `request CODE, application expression over self, further flags` or `answer CODE, result`.
///
/// `= DEFINITION else |message| value` stands in for a required AVP that is absent.
macro_rules! command {
    (
        $(#[$meta:meta])*
        pub struct $name:ident: request $code:ident, |$this:ident| $application:expr, $flags:expr, {
            $( $(#[$field_meta:meta])* $field:ident: $type:ty = $definition:ident $(else |$message:ident| $default:expr)? ),* $(,)?
        }
    ) => {
        $crate::fields::command!{@body true, $(#[$meta])* $name $code { $( $(#[$field_meta])* $field: $type = $definition $(else |$message| $default)? ),* }}

        impl $name {
            /// The message with these identifiers in its header.
            pub fn encode(&self, hop_by_hop_id: u32, end_to_end_id: u32) -> $crate::message::Message {
                let $this = self;
                $crate::message::Message {
                    flags: $crate::flags::CommandFlags::REQUEST.with($flags),
                    command_code: $crate::dictionary::command::$code,
                    application_id: $application,
                    hop_by_hop_id,
                    end_to_end_id,
                    avps: self.avps(),
                }
            }
        }
    };
    (
        $(#[$meta:meta])*
        pub struct $name:ident: answer $code:ident, $result:expr, {
            $( $(#[$field_meta:meta])* $field:ident: $type:ty = $definition:ident $(else |$message:ident| $default:expr)? ),* $(,)?
        }
    ) => {
        $crate::fields::command!{@body false, $(#[$meta])* $name $code { $( $(#[$field_meta])* $field: $type = $definition $(else |$message| $default)? ),* }}

        impl $name {
            /// The answer to `request`: its identifiers, application and P bit, its Proxy-Info
            /// AVPs at the end, the E bit if the result is a protocol error (RFC 6733 6.2, 7.1.3).
            pub fn answer(&self, request: &$crate::message::Message) -> $crate::message::Message {
                let mut answer = request.answer_header();
                let result: fn(&Self) -> Option<$crate::result_code::ResultCode> = $result;
                if result(self).is_some_and($crate::result_code::ResultCode::is_protocol_error) {
                    answer.flags = answer.flags.with($crate::flags::CommandFlags::ERROR);
                }
                answer.avps = self.avps();
                answer.avps.extend(request.proxy_info().cloned());
                answer
            }
        }
    };
    (
        @body $request:literal, $(#[$meta:meta])* $name:ident $code:ident {
            $( $(#[$field_meta:meta])* $field:ident: $type:ty = $definition:ident $(else |$message:ident| $default:expr)? ),*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct $name {
            $( $(#[$field_meta])* pub $field: $type, )*
            /// Further AVPs, kept as they came and sent as they are.
            pub extra: Vec<$crate::avp::Avp>,
        }

        impl $name {
            /// Reads the command out of `message`.
            ///
            /// # Errors
            /// 3001 if it is another command; 5001, 5004, 5005, 5009 or 5014 with Failed-AVP
            /// for its AVPs (RFC 6733 7.1.5).
            pub fn decode(message: &$crate::message::Message) -> Result<Self, $crate::error::DecodeError> {
                use $crate::fields::Field;
                if message.command_code != $crate::dictionary::command::$code
                    || message.is_request() != $request
                {
                    return Err($crate::error::Fault::UnexpectedCommand { code: message.command_code }.into());
                }
                $( let mut $field = <$type as Field>::Slot::default(); )*
                let mut extra = Vec::new();
                for avp in &message.avps {
                    $( if avp.is(&$crate::dictionary::$definition) {
                        <$type as Field>::put(&mut $field, avp, 0)?;
                        continue;
                    } )*
                    $crate::fields::keep_extra(&mut extra, avp)?;
                }
                $( $(
                    let $message = message;
                    let $field = $field.or(Some($default));
                )? )*
                Ok(Self {
                    $( $field: <$type as Field>::finish($field, &$crate::dictionary::$definition)?, )*
                    extra,
                })
            }

            fn avps(&self) -> Vec<$crate::avp::Avp> {
                use $crate::fields::Field;
                let mut out = tollwire_wire::Writer::with_capacity(512);
                $( Field::write(&self.$field, &$crate::dictionary::$definition, &mut out); )*
                $crate::fields::split(out, &self.extra)
            }
        }
    };
}
pub(crate) use command;

/// The AVPs in `out`, as slices of one buffer, and `extra` behind them.
pub(crate) fn split(out: Writer, extra: &[Avp]) -> Vec<Avp> {
    let buffer = Bytes::from(out.into_vec());
    let mut reader = Reader::new(&buffer);
    let mut avps = Vec::with_capacity(24 + extra.len());
    // What was just written reads back; more than MAX_AVPS is the receiver's to refuse.
    while let Ok(avp) = avp::next_avp(&buffer, &mut reader) {
        avps.push(avp);
        if reader.is_empty() {
            break;
        }
    }
    avps.extend_from_slice(extra);
    avps
}
