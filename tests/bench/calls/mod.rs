//! The same calls at rising rates through Tollwire and through Kamailio.
//!
//! Both register with digest, challenge every INVITE, record-route and write one record per call.
//! Tollwire does besides what Kamailio here does not: it asks for credit, opens and closes four
//! pinholes per call in the kernel, and debits the account.

mod kamailio;
mod load;
mod report;
mod tollwire;

/// A system under load: where to send SIP, and which processes to charge the work to.
trait System {
    /// What the report calls it.
    fn name(&self) -> &'static str;
    /// The processes that do the work; their children are counted too.
    fn processes(&self) -> Vec<u32>;
}

/// Measures both and prints the ratios.
///
/// # Errors
/// When not even the lowest rate passed.
pub fn compare() -> Result<(), String> {
    let reports = [tollwire::measure(), kamailio::measure()];
    report::print(&reports);
    if reports.iter().any(|report| report.best_rate().is_none()) {
        return Err("not even the lowest rate passed without a failure".to_owned());
    }
    Ok(())
}
