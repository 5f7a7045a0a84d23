//! How much memory there is: the container's limit, or the host's memory.

use crate::udp::RECEIVE_BUFFER_BYTES;
use std::fs;
use std::path::{Path, PathBuf};

const MIB: u64 = 1024 * 1024;

/// Bounds of the default budget.
const DEFAULT_BUDGET_MIB: std::ops::RangeInclusive<u64> = 4..=256;

/// Part of the memory the default budget is.
const DEFAULT_BUDGET_PERCENT: u64 = 5;

/// Smallest receive buffer that is asked for.
const RECEIVE_BUFFER_MIN_BYTES: usize = 1024 * 1024;

/// The receive buffer is this part of the memory: the kernel doubles it, and charges it to the container.
const RECEIVE_BUFFER_PART: u64 = 32;

/// Bytes this process may use: the lowest limit of its cgroups if one is below the host's memory.
pub(super) fn available_bytes() -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let host = read(Path::new("/proc/meminfo")).and_then(|text| total_of_meminfo(&text));
    let cgroups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits = limit_files(&cgroups).into_iter().filter_map(|path| limit_of_cgroup(&read(&path)?));
    host.into_iter().chain(limits).min()
}

/// Where the limits of this process are, as `/proc/self/cgroup` names its cgroups: of its own, and of all above. In a
/// container that sees the host's names the own one is mounted at the root.
fn limit_files(cgroups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in cgroups.lines() {
        // "4:memory:/path" is version 1, "0::/path" is version 2.
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|one| one == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let below = Path::new(path.trim_start_matches('/'));
        files.extend(below.ancestors().map(|folder| Path::new(root).join(folder).join(file)));
    }
    files
}

/// The budget when `-m` names none, in bytes.
pub(super) fn default_budget_bytes(available: Option<u64>) -> u64 {
    let part = available.unwrap_or(0) / 100 * DEFAULT_BUDGET_PERCENT;
    part.clamp(DEFAULT_BUDGET_MIB.start() * MIB, DEFAULT_BUDGET_MIB.end() * MIB)
}

/// The receive buffer when no setting names one, in bytes.
pub(super) fn default_receive_buffer_bytes(available: Option<u64>) -> usize {
    let part = usize::try_from(available.unwrap_or(0) / RECEIVE_BUFFER_PART).unwrap_or(usize::MAX);
    part.clamp(RECEIVE_BUFFER_MIN_BYTES, RECEIVE_BUFFER_BYTES)
}

/// cgroup v2 says "max" where there is no limit, v1 a number near 2^63, which the host's memory is below.
fn limit_of_cgroup(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

fn total_of_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_says() {
        assert_eq!(total_of_meminfo("MemTotal:       24622896 kB\nMemFree: 1 kB\n"), Some(24_622_896 * 1024));
        assert_eq!(limit_of_cgroup("max\n"), None);
        assert_eq!(limit_of_cgroup("33554432\n"), Some(32 * MIB));
    }

    #[test]
    fn looks_for_limits_in_every_cgroup_the_process_is_in() {
        let files = |cgroups: &str| -> Vec<String> {
            limit_files(cgroups).iter().map(|path| path.display().to_string()).collect()
        };
        let service = "/sys/fs/cgroup/system.slice/xrayd.service/memory.max";
        let slice = "/sys/fs/cgroup/system.slice/memory.max";
        let root = "/sys/fs/cgroup/memory.max";
        assert_eq!(files("0::/system.slice/xrayd.service\n"), [service, slice, root]);
        assert_eq!(files("0::/\n"), [root]);
        let task = "/sys/fs/cgroup/memory/ecs/task/memory.limit_in_bytes";
        let others = [
            "/sys/fs/cgroup/memory/ecs/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        ];
        assert_eq!(files("5:cpu,cpuacct:/x\n4:memory:/ecs/task\n"), [task, others[0], others[1]]);
    }

    #[test]
    fn the_default_budget_is_five_percent_within_its_bounds() {
        assert_eq!(default_budget_bytes(Some(32 * MIB)), 4 * MIB);
        assert_eq!(default_budget_bytes(Some(2_000 * MIB)), 100 * MIB);
        assert_eq!(default_budget_bytes(Some(64_000 * MIB)), 256 * MIB);
        assert_eq!(default_budget_bytes(None), 4 * MIB);
    }

    #[test]
    fn a_small_container_gets_a_small_receive_buffer() {
        let mib = |available: u64| default_receive_buffer_bytes(Some(available * MIB)) / 1024 / 1024;
        assert_eq!([16, 32, 128, 256, 512, 4096].map(mib), [1, 1, 4, 8, 16, 16]);
    }
}
