use super::{Role, State};
use crate::command;

/// Whether a side may send a request in a state (SMPP 3.4 table 2-1, SMPP 5.0 section 2.4). `enquire_link` may be sent
/// at any time, as in SMPP 5.0; responses and `generic_nack` are no requests.
pub fn is_allowed(command_id: u32, sender: Role, state: State) -> bool {
    let esme = sender == Role::Esme;
    match command_id {
        command::ENQUIRE_LINK => state != State::Closed,
        command::BIND_TRANSMITTER => esme && state == State::Open,
        command::BIND_RECEIVER | command::BIND_TRANSCEIVER => {
            esme && matches!(state, State::Open | State::Outbound)
        }
        command::OUTBIND => !esme && state == State::Open,
        command::UNBIND => state.is_bound(),
        command::SUBMIT_SM
        | command::SUBMIT_MULTI
        | command::QUERY_SM
        | command::CANCEL_SM
        | command::REPLACE_SM
        | command::BROADCAST_SM
        | command::QUERY_BROADCAST_SM
        | command::CANCEL_BROADCAST_SM => esme && may_submit(state),
        command::DELIVER_SM | command::ALERT_NOTIFICATION => !esme && may_deliver(state),
        command::DATA_SM if esme => may_submit(state),
        command::DATA_SM => may_deliver(state),
        _ => false,
    }
}

fn may_submit(state: State) -> bool {
    matches!(state, State::BoundTx | State::BoundTrx)
}

fn may_deliver(state: State) -> bool {
    matches!(state, State::BoundRx | State::BoundTrx)
}

/// Whether a request has a response and counts in a window: any that is not about the session itself.
pub fn is_message(command_id: u32) -> bool {
    matches!(
        command_id,
        command::SUBMIT_SM
            | command::SUBMIT_MULTI
            | command::DATA_SM
            | command::DELIVER_SM
            | command::QUERY_SM
            | command::CANCEL_SM
            | command::REPLACE_SM
            | command::BROADCAST_SM
            | command::QUERY_BROADCAST_SM
            | command::CANCEL_BROADCAST_SM
    )
}
