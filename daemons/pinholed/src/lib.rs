//! Media authorisations (Rx) turned into nf_tables state.
