//! The toll ticket of a short message.

use serde::{Deserialize, Serialize};

use crate::encoding::Record;
use crate::time::Timestamp;

/// What became of a short message, who paid for it, and what.
///
/// Money is in micro-units (millionths) of `currency`. The order of the fields is that of the CSV columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageRecord {
    /// Without gaps within one element's files, from 1.
    pub sequence_number: u64,
    /// What makes the record unique: the message's number at this SMSC.
    pub record_id: String,
    /// `short-message`.
    pub service: String,
    /// The id that the application knows; several messages of one `submit_multi` share it.
    pub message_id: String,
    /// Source address.
    pub source: String,
    /// Destination address.
    pub destination: String,
    /// `system_id` of the application that submitted it.
    pub esme: String,
    /// Who took it or was tried last: an ESME or an upstream; empty if nobody was.
    pub next_hop: String,
    /// Its id there, if the next hop gave one.
    pub upstream_message_id: String,
    /// When it was accepted.
    pub accepted_time: Timestamp,
    /// When it was delivered, or given up.
    pub end_time: Timestamp,
    /// Segments that it is billed as.
    pub segments: u8,
    /// `data_coding`
    pub data_coding: u8,
    /// Deliveries tried.
    pub attempts: u32,
    /// `message_state` by name: `DELIVERED`, `EXPIRED`...
    pub state: String,
    /// Why: `acknowledged`, `validity-expired`...
    pub cause: String,
    /// `command_status` or Result-Code that decided; 0 for a delivery.
    pub status: u32,
    /// Who pays: `receiver`, `sender` or `third-party`; absent if nothing is charged.
    pub payer: Option<String>,
    /// Number or account of the payer.
    pub account: Option<String>,
    /// Class that the price was looked up under.
    pub tariff_class: Option<u16>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// What is charged; absent if nothing is, or if the message was not delivered.
    pub amount_micro: Option<i64>,
    /// `online`: taken by credit control; `record`: to be billed from this record.
    pub charging: String,
    /// Who wrote the record.
    pub origin_host: String,
}

impl Record for MessageRecord {
    const CSV_HEADER: &'static str = "sequence_number,record_id,service,message_id,source,destination,esme,next_hop,\
upstream_message_id,accepted_time,end_time,segments,data_coding,attempts,state,cause,status,payer,account,tariff_class,\
currency,amount_micro,charging,origin_host";

    fn sequence_number(&self) -> u64 {
        self.sequence_number
    }

    fn record_id(&self) -> &str {
        &self.record_id
    }

    fn texts(&mut self) -> Vec<&mut String> {
        let always = [
            &mut self.record_id,
            &mut self.service,
            &mut self.message_id,
            &mut self.source,
            &mut self.destination,
            &mut self.esme,
            &mut self.next_hop,
            &mut self.upstream_message_id,
            &mut self.state,
            &mut self.cause,
            &mut self.charging,
            &mut self.origin_host,
        ];
        let if_there = [&mut self.payer, &mut self.account, &mut self.currency];
        always
            .into_iter()
            .chain(if_there.into_iter().flatten())
            .collect()
    }
}
