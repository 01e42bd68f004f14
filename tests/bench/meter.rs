//! What processes cost: CPU time and memory, their children included; and how long answers took.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

/// Milliseconds within which `percent` of the times came, of which the shortest is the first; 0 of none.
pub fn percentile_ms(sorted: &[Duration], percent: usize) -> f64 {
    let index = sorted.len().saturating_sub(1) * percent / 100;
    sorted
        .get(index)
        .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

/// CPU seconds, user and system, that the processes and their descendants have used.
pub fn cpu_seconds(roots: &[u32]) -> f64 {
    // Linux counts in USER_HZ, which is 100 on every architecture Debian ships.
    family(roots)
        .into_iter()
        .filter_map(|id| stat(id).map(|stat| stat.ticks))
        .sum::<f64>()
        / 100.0
}

/// The same for each of the processes, with its name.
pub fn cpu_by_process(roots: &[u32]) -> Vec<(String, f64)> {
    roots
        .iter()
        .map(|id| (name(*id), cpu_seconds(&[*id])))
        .collect()
}

/// The program of a process.
pub fn name(id: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
    name.trim().to_owned()
}

/// Kilobytes of memory, pages shared between processes counted in proportion (Pss).
pub fn kilobytes(roots: &[u32]) -> f64 {
    family(roots)
        .into_iter()
        .filter_map(|id| fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok())
        .filter_map(|text| {
            text.lines()
                .find_map(|line| line.strip_prefix("Pss:"))
                .and_then(|value| value.trim().trim_end_matches(" kB").parse::<f64>().ok())
        })
        .sum()
}

struct Stat {
    parent: u32,
    ticks: f64,
}

/// proc(5): after the command in parentheses come state, ppid, ... utime (14) and stime (15).
fn stat(id: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let user: f64 = fields.get(11)?.parse().ok()?;
    let system: f64 = fields.get(12)?.parse().ok()?;
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks: user + system,
    })
}

fn family(roots: &[u32]) -> HashSet<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Ok(id) = entry.file_name().to_string_lossy().parse::<u32>()
            && let Some(stat) = stat(id)
        {
            children.entry(stat.parent).or_default().push(id);
        }
    }
    let mut found = HashSet::new();
    let mut waiting: Vec<u32> = roots.to_vec();
    while let Some(id) = waiting.pop() {
        if found.insert(id) {
            waiting.extend(children.get(&id).into_iter().flatten());
        }
    }
    found
}
