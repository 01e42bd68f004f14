use crate::value::enumerated;

enumerated! {
    /// Flow-Status (TS 29.214 5.3).
    closed FlowStatus {
        /// Only from the offerer.
        EnabledUplink = 0,
        /// Only to the offerer.
        EnabledDownlink = 1,
        /// Both directions.
        Enabled = 2,
        /// Neither, but the flow stays known.
        Disabled = 3,
        /// The flow is gone.
        Removed = 4,
    }

    /// Flow-Usage (TS 29.214 5.3).
    closed FlowUsage {
        /// Nothing is known of its use.
        NoInformation = 0,
        /// RTCP.
        Rtcp = 1,
        /// Signalling of the application function, such as SIP.
        AfSignalling = 2,
    }

    /// Media-Type (TS 29.214 5.3).
    open MediaType {
        /// `m=audio`
        Audio = 0,
        /// `m=video`
        Video = 1,
        /// `m=data`
        Data = 2,
        /// `m=application`
        Application = 3,
        /// `m=control`
        Control = 4,
        /// `m=text`
        Text = 5,
        /// `m=message`
        Message = 6,
        /// Any other.
        OtherMedia = -1,
    }

    /// Specific-Action (TS 29.214 5.3): in AAR what to report, in RAR what is reported.
    open SpecificAction {
        /// Charging correlation.
        ChargingCorrelationExchange = 1,
        /// A bearer was lost.
        IndicationOfLossOfBearer = 2,
        /// A lost bearer is back.
        IndicationOfRecoveryOfBearer = 3,
        /// A bearer was released.
        IndicationOfReleaseOfBearer = 4,
        /// The access network changed.
        IpCanChange = 6,
        /// The credit ran out.
        IndicationOfOutOfCredit = 7,
        /// The resources are allocated.
        IndicationOfSuccessfulResourcesAllocation = 8,
        /// The resources could not be allocated.
        IndicationOfFailedResourcesAllocation = 9,
        /// Policy control works with limits.
        IndicationOfLimitedPccDeployment = 10,
        /// Use of sponsored connectivity.
        UsageReport = 11,
        /// Access network information.
        AccessNetworkInfoReport = 12,
        /// Policy control works without limits again.
        IndicationOfRecoveryFromLimitedPccDeployment = 13,
        /// Access network information cannot be reported.
        IndicationOfAccessNetworkInfoReportingFailure = 14,
        /// A transfer policy expired.
        IndicationOfTransferPolicyExpired = 15,
        /// The mobile network changed.
        PlmnChange = 16,
    }

    /// Abort-Cause (TS 29.214 5.3).
    open AbortCause {
        /// The bearer was released.
        BearerReleased = 0,
        /// The server lacks resources.
        InsufficientServerResources = 1,
        /// The bearer lacks resources.
        InsufficientBearerResources = 2,
        /// The session moved to circuit switching.
        PsToCsHandover = 3,
        /// Sponsored connectivity is not allowed.
        SponsoredDataConnectivityDisallowed = 4,
    }

    /// Rx-Request-Type (TS 29.214 5.3).
    open RxRequestType {
        /// Begins an Rx session.
        InitialRequest = 0,
        /// Changes one.
        UpdateRequest = 1,
        /// P-CSCF restoration.
        PcscfRestoration = 2,
    }

    /// Service-Info-Status (TS 29.214 5.3).
    open ServiceInfoStatus {
        /// Offer and answer are both known.
        FinalServiceInformation = 0,
        /// The offer alone.
        PreliminaryServiceInformation = 1,
    }

    /// SIP-Forking-Indication (TS 29.214 5.3).
    open SipForkingIndication {
        /// The description is of one dialog.
        SingleDialogue = 0,
        /// The description is of one of several dialogs.
        SeveralDialogues = 1,
    }
}
