//! The tables at the end.

use std::fmt;

use super::{Load, System, peers};

/// One system under one load.
pub struct Cell {
    /// Which system.
    pub system: &'static str,
    /// What it was put under.
    pub load: Load,
    /// Messages per second: accepted, or all the way.
    pub per_second: f64,
    /// CPU seconds of its processes per 10,000 messages.
    pub cpu_per_10_000: f64,
    /// What the generator itself used, on the same two cores.
    pub generator_cpu_per_10_000: f64,
    /// Messages it refused.
    pub refused: u64,
}

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {:8.0} messages/s, {:.3} CPU s per 10,000 (generator {:.3}), {} refused",
            self.load,
            self.per_second,
            self.cpu_per_10_000,
            self.generator_cpu_per_10_000,
            self.refused
        )
    }
}

impl fmt::Display for Load {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.end_to_end {
            "end to end"
        } else {
            "accepted"
        };
        write!(
            formatter,
            "{what:>10}, {:2} binds, window {:3}",
            self.binds, self.window
        )
    }
}

/// Every load as a row, systems side by side, and ours against each other.
pub fn print(systems: &[System], loads: &[Load], cells: &[Cell]) {
    let find = |system: &str, load: Load| {
        cells
            .iter()
            .find(|cell| cell.system == system && cell.load == load)
    };
    type Read = fn(&Cell) -> f64;
    let tables: [(&str, usize, Read); 2] = [
        ("Messages per second", 0, |cell| cell.per_second),
        ("CPU seconds of the SMSC per 10,000 messages", 3, |cell| {
            cell.cpu_per_10_000
        }),
    ];
    for (title, digits, read) in tables {
        println!();
        println!("{title} (ratio: {} to each other)", peers::OURS);
        print!("{:>34}", "");
        for system in systems {
            print!("{:>14}", system.name);
        }
        println!("   ratios");
        for load in loads {
            print!("{:>34}", load.to_string());
            let ours = find(peers::OURS, *load).map(read);
            let mut ratios = String::new();
            for system in systems {
                match find(system.name, *load).map(read) {
                    Some(value) => {
                        print!("{value:>14.digits$}");
                        if let Some(ours) = ours.filter(|_| system.name != peers::OURS) {
                            ratios.push_str(&format!("{:>10.2}", ours / value));
                        }
                    }
                    None => print!("{:>14}", "-"),
                }
            }
            println!(" {ratios}");
        }
    }
    println!();
    for system in systems {
        println!("{}: {}", system.name, system.promise);
    }
}
