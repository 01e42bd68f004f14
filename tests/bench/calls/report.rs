//! The table at the end.

use std::fmt;

/// One rate, held for a while.
pub struct Step {
    /// Calls per second asked for.
    pub rate: u32,
    /// Calls per second completed.
    pub achieved: f64,
    /// Calls that did not.
    pub failed: u32,
    /// Messages the caller had to send again.
    pub retransmissions: u32,
    /// CPU seconds per 1,000 calls of each of the system's processes.
    pub cpu_per_thousand: Vec<(String, f64)>,
}

impl Step {
    /// Whether every call succeeded and the rate was reached (within 10 per cent, for the ramp).
    pub fn passed(&self) -> bool {
        self.failed == 0 && self.achieved >= 0.9 * f64::from(self.rate)
    }

    /// CPU seconds of the whole system per 1,000 calls.
    pub fn cpu(&self) -> f64 {
        self.cpu_per_thousand.iter().map(|(_, cpu)| cpu).sum()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:5} calls/s asked, {:7.1} done, {} failed, {} sent again, {:.3} CPU s per 1,000 calls",
            self.rate,
            self.achieved,
            self.failed,
            self.retransmissions,
            self.cpu()
        )?;
        if self.cpu_per_thousand.len() > 1 {
            for (name, cpu) in &self.cpu_per_thousand {
                write!(formatter, ", {name} {cpu:.3}")?;
            }
        }
        Ok(())
    }
}

/// One system's result.
pub struct Report {
    name: &'static str,
    /// Memory of a standing call.
    pub kilobytes_per_dialog: f64,
    /// The rates tried, rising; the last may have failed.
    pub steps: Vec<Step>,
}

impl Report {
    /// An empty report.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            kilobytes_per_dialog: 0.0,
            steps: Vec::new(),
        }
    }

    /// The highest rate without a failed call.
    pub fn best_rate(&self) -> Option<u32> {
        self.steps
            .iter()
            .take_while(|step| step.passed())
            .last()
            .map(|step| step.rate)
    }

    fn cpu_at(&self, rate: u32) -> Option<f64> {
        self.steps
            .iter()
            .find(|step| step.rate == rate && step.passed())
            .map(Step::cpu)
    }
}

/// Prints every step side by side, and the ratios against the first report.
pub fn print(reports: &[Report]) {
    let Some((yardstick, others)) = reports.split_first() else {
        return;
    };
    println!();
    println!("CPU seconds per 1,000 calls");
    print!("{:>10}", "calls/s");
    for report in reports {
        print!("{:>16}", report.name);
    }
    println!("{:>10}", "ratio");
    for step in &yardstick.steps {
        print!("{:>10}", step.rate);
        for report in reports {
            match report.cpu_at(step.rate) {
                Some(cpu) => print!("{cpu:>16.3}"),
                None => print!("{:>16}", "-"),
            }
        }
        for other in others {
            if let (Some(ours), Some(theirs)) =
                (other.cpu_at(step.rate), yardstick.cpu_at(step.rate))
            {
                print!("{:>10.2}", ours / theirs);
            }
        }
        println!();
    }
    println!();
    for report in reports {
        println!(
            "{:<10} {:>6} calls/s without failure, {:.1} kB per dialog",
            report.name,
            report.best_rate().unwrap_or(0),
            report.kilobytes_per_dialog
        );
    }
    for other in others {
        if let (Some(ours), Some(theirs)) = (other.best_rate(), yardstick.best_rate()) {
            println!(
                "{} / {}: calls/s without failure {:.2}, memory per dialog {:.2}",
                other.name,
                yardstick.name,
                f64::from(ours) / f64::from(theirs),
                other.kilobytes_per_dialog / yardstick.kilobytes_per_dialog,
            );
        }
    }
}
