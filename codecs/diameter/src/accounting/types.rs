use crate::fields::grouped;
use crate::value::enumerated;

enumerated! {
    /// Accounting-Record-Type (RFC 6733 9.8.1).
    closed AccountingRecordType {
        /// The only record of a one-time event.
        EventRecord = 1,
        /// Begins an accounting session.
        StartRecord = 2,
        /// What a session has come to so far.
        InterimRecord = 3,
        /// Ends a session, and says what it came to.
        StopRecord = 4,
    }

    /// Accounting-Realtime-Required (RFC 6733 9.8.7): whether the service goes on while records cannot be delivered.
    closed AccountingRealtimeRequired {
        /// It does not.
        DeliverAndGrant = 1,
        /// It does while records can be stored.
        GrantAndStore = 2,
        /// It does even if they are lost.
        GrantAndLose = 3,
    }
}

grouped! {
    /// Service-Specific-Info (TS 32.299 7.2): what a service alone understands.
    pub struct ServiceSpecificInfo {
        /// The data.
        service_specific_data: Option<String> = SERVICE_SPECIFIC_DATA,
        /// What kind of data: a number that the service context gives its meaning.
        service_specific_type: Option<u32> = SERVICE_SPECIFIC_TYPE,
    }
}
