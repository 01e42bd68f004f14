use crate::value::enumerated;

enumerated! {
    /// CC-Request-Type (RFC 8506 8.3).
    closed CcRequestType {
        /// Begins a credit-control session.
        InitialRequest = 1,
        /// Reports use and asks for more.
        UpdateRequest = 2,
        /// Ends the session.
        TerminationRequest = 3,
        /// One-time event, without a session.
        EventRequest = 4,
    }

    /// CC-Session-Failover (RFC 8506 8.4).
    closed CcSessionFailover {
        /// The session must not move to another server.
        FailoverNotSupported = 0,
        /// The session may move to another server.
        FailoverSupported = 1,
    }

    /// Check-Balance-Result (RFC 8506 8.6).
    closed CheckBalanceResult {
        /// The account covers the service.
        EnoughCredit = 0,
        /// It does not.
        NoCredit = 1,
    }

    /// Credit-Control-Failure-Handling (RFC 8506 8.14): what to do without a server.
    closed CreditControlFailureHandling {
        /// End the service.
        Terminate = 0,
        /// Try another server, else grant the service.
        Continue = 1,
        /// Try another server, else end the service.
        RetryAndTerminate = 2,
    }

    /// Direct-Debiting-Failure-Handling (RFC 8506 8.15).
    closed DirectDebitingFailureHandling {
        /// End the service, or keep the request and send it again.
        TerminateOrBuffer = 0,
        /// Grant the service and drop the request.
        Continue = 1,
    }

    /// Tariff-Change-Usage (RFC 8506 8.27).
    closed TariffChangeUsage {
        /// Units before the tariff change.
        UnitBeforeTariffChange = 0,
        /// Units after it.
        UnitAfterTariffChange = 1,
        /// Used units that straddle it.
        UnitIndeterminate = 2,
    }

    /// CC-Unit-Type (RFC 8506 8.32).
    closed CcUnitType {
        /// CC-Time.
        Time = 0,
        /// CC-Money.
        Money = 1,
        /// CC-Total-Octets.
        TotalOctets = 2,
        /// CC-Input-Octets.
        InputOctets = 3,
        /// CC-Output-Octets.
        OutputOctets = 4,
        /// CC-Service-Specific-Units.
        ServiceSpecificUnits = 5,
    }

    /// Final-Unit-Action (RFC 8506 8.35).
    closed FinalUnitAction {
        /// The service ends with the last unit.
        Terminate = 0,
        /// The user is redirected to Redirect-Server.
        Redirect = 1,
        /// Only what the filters allow remains.
        RestrictAccess = 2,
    }

    /// Redirect-Address-Type (RFC 8506 8.38).
    closed RedirectAddressType {
        /// Dotted-decimal.
        Ipv4Address = 0,
        /// As RFC 4291 writes it.
        Ipv6Address = 1,
        /// An HTTP URL.
        Url = 2,
        /// A SIP URI.
        SipUri = 3,
    }

    /// Multiple-Services-Indicator (RFC 8506 8.40).
    closed MultipleServicesIndicator {
        /// One service per session or sub-session.
        MultipleServicesNotSupported = 0,
        /// Several services in one session.
        MultipleServicesSupported = 1,
    }

    /// Requested-Action (RFC 8506 8.41), with EVENT_REQUEST.
    closed RequestedAction {
        /// Debit the account.
        DirectDebiting = 0,
        /// Credit the account.
        RefundAccount = 1,
        /// Tell whether the account covers the service.
        CheckBalance = 2,
        /// Tell the price.
        PriceEnquiry = 3,
    }

    /// Subscription-Id-Type (RFC 8506 8.47).
    closed SubscriptionIdType {
        /// An E.164 number.
        EndUserE164 = 0,
        /// An IMSI.
        EndUserImsi = 1,
        /// A SIP URI.
        EndUserSipUri = 2,
        /// A Network Access Identifier.
        EndUserNai = 3,
        /// An identifier of the server's own.
        EndUserPrivate = 4,
    }

    /// User-Equipment-Info-Type (RFC 8506 8.50).
    open UserEquipmentInfoType {
        /// IMEI and software version.
        Imeisv = 0,
        /// 48-bit MAC address.
        Mac = 1,
        /// EUI-64.
        Eui64 = 2,
        /// Modified EUI-64.
        ModifiedEui64 = 3,
    }
}
