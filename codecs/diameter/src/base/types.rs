use crate::value::enumerated;

enumerated! {
    /// Disconnect-Cause (RFC 6733 5.4.3).
    open DisconnectCause {
        /// A scheduled reboot is imminent; the peer may connect again.
        Rebooting = 0,
        /// Internal resources are constrained.
        Busy = 1,
        /// No messages are expected in the foreseeable future.
        DoNotWantToTalkToYou = 2,
    }

    /// Termination-Cause (RFC 6733 8.15 and IANA's registry).
    open TerminationCause {
        /// The user ended the session.
        Logout = 1,
        /// The user disconnected before the service was provided.
        ServiceNotProvided = 2,
        /// The answer was understood but could not be carried out.
        BadAnswer = 3,
        /// An operator ended the session.
        Administrative = 4,
        /// The transport link to the user broke.
        LinkBroken = 5,
        /// The authorization lifetime or session timeout ran out.
        AuthExpired = 6,
        /// The user moved to another access device.
        UserMoved = 7,
        /// The session ran into its timeout.
        SessionTimeout = 8,
    }

    /// Re-Auth-Request-Type (RFC 6733 8.12).
    open ReAuthRequestType {
        /// Authorization only.
        AuthorizeOnly = 0,
        /// Authentication and authorization.
        AuthorizeAuthenticate = 1,
    }

    /// Auth-Session-State (RFC 6733 8.11).
    open AuthSessionState {
        /// The server keeps the session's state and waits for its STR.
        StateMaintained = 0,
        /// No STR will be sent.
        NoStateMaintained = 1,
    }

    /// Redirect-Host-Usage (RFC 6733 6.13).
    open RedirectHostUsage {
        /// The redirect is not cached.
        DontCache = 0,
        /// For all messages of the session.
        AllSession = 1,
        /// For all messages to the realm.
        AllRealm = 2,
        /// For all messages of the realm's application.
        RealmAndApplication = 3,
        /// For all messages of the application.
        AllApplication = 4,
        /// For all messages to the host.
        AllHost = 5,
        /// For all messages of the user.
        AllUser = 6,
    }
}
