//! A measured process: its CPU time and memory, read from `/proc`.

use std::fs;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A child process, killed on drop.
pub struct Process {
    child: Child,
    /// Standard input. The programs exit when it is closed.
    pub input: ChildStdin,
}

impl Process {
    /// Starts the process and returns its standard output.
    pub fn start(command: &mut Command) -> (Self, BufReader<ChildStdout>) {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let input = child.stdin.take().expect("its standard input");
        let output = child.stdout.take().expect("its standard output");
        (Self { child, input }, BufReader::new(output))
    }

    fn directory(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.child.id()))
    }

    /// CPU time of all threads so far, with nanosecond resolution.
    pub fn cpu(&self) -> Duration {
        let threads = fs::read_dir(self.directory().join("task")).expect("its threads");
        let nanoseconds = threads.map(|thread| {
            let path = thread.expect("a thread").path().join("schedstat");
            // Unreadable if the thread has ended meanwhile.
            let line = fs::read_to_string(path).unwrap_or_default();
            let first = line.split(' ').next().unwrap_or_default();
            first.parse::<u64>().unwrap_or_default()
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// A memory counter of `/proc/PID/status` in bytes: `VmRSS` (resident) or `VmHWM` (peak resident).
    pub fn memory(&self, line: &str) -> f64 {
        let status = fs::read_to_string(self.directory().join("status")).expect("its status");
        let rest = status
            .lines()
            .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let kibibytes = rest.and_then(|rest| rest.trim().strip_suffix(" kB"));
        let kibibytes: f64 = kibibytes.expect("a count of kB").parse().expect("a number");
        kibibytes * 1024.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if the process has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
