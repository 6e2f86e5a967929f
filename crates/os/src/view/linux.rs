//! `/proc/PID`, a file at a time.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

pub(super) use super::activity::activity;
use super::{OpenFile, Sight, Unseen};
use crate::OsError;

/// Command lines are read so far: those of Python scripts on the command line can be long, and their end tells nothing.
const LONGEST_COMMAND: usize = 64 * 1024;
/// What is read of them at once.
const AT_ONCE: usize = 2048;

/// What the kernel's answer means. A process that ends while its files are read gives `ESRCH`, one that is hidden from us
/// is not there at all.
pub(super) fn unseen(error: &io::Error) -> Unseen {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Unseen::Refused,
        _ => Unseen::Gone,
    }
}

pub(super) fn processes() -> Result<Vec<u32>, OsError> {
    let entries = fs::read_dir("/proc").map_err(|error| OsError::path("read", "/proc", error))?;
    let pids: Vec<u32> =
        entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    // Something else is mounted there.
    if pids.is_empty() { Err(OsError::Unsupported { what: "listing processes" }) } else { Ok(pids) }
}

pub(super) fn others_are_hidden() -> bool {
    // Root sees all; and a container's first process is not hidden from it, so the mount must say so.
    !rustix::process::geteuid().is_root()
        && fs::read_to_string("/proc/self/mountinfo").is_ok_and(|mounts| hides(&mounts))
}

/// `23 28 0:21 / /proc rw,nosuid - proc proc rw,hidepid=invisible`
fn hides(mounts: &str) -> bool {
    let of_proc = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some("/proc"));
    let options = of_proc.and_then(|line| line.split(' ').next_back()).unwrap_or_default();
    let told = options.split(',').find_map(|option| option.strip_prefix("hidepid="));
    told.is_some_and(|how| !matches!(how, "0" | "off"))
}

pub(super) fn arguments_into(pid: u32, buffer: &mut Vec<u8>) -> Sight<bool> {
    let refused = |errno: rustix::io::Errno| unseen(&errno.into());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(format!("/proc/{pid}/cmdline"), flags, Mode::empty()).map_err(refused)?;
    // All processes are read like this: most have short arguments, which come at once.
    buffer.clear();
    loop {
        let more = if buffer.is_empty() { AT_ONCE } else { LONGEST_COMMAND };
        buffer.reserve(more);
        let asked = buffer.capacity() - buffer.len();
        let read = rustix::io::read(&file, rustix::buffer::spare_capacity(buffer)).map_err(refused)?;
        if read < asked || buffer.len() >= LONGEST_COMMAND {
            return Ok(!buffer.is_empty());
        }
    }
}

fn link(pid: u32, name: &str) -> Sight<PathBuf> {
    fs::read_link(format!("/proc/{pid}/{name}")).map_err(|error| unseen(&error))
}

pub(super) fn executable(pid: u32) -> Sight<PathBuf> {
    link(pid, "exe")
}

pub(super) fn working_directory(pid: u32) -> Sight<PathBuf> {
    link(pid, "cwd")
}

pub(super) fn variables<const N: usize>(pid: u32, names: [&str; N]) -> Sight<[Option<OsString>; N]> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).map_err(|error| unseen(&error))?;
    Ok(names.map(|name| {
        let mut all = bytes.split(|byte| *byte == 0);
        let value = all.find_map(|word| word.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
        value.map(|value| OsString::from_vec(value.to_vec()))
    }))
}

pub(super) fn reach(pid: u32, path: &Path) -> PathBuf {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    match path.strip_prefix("/") {
        Ok(below) => proc.join("root").join(below),
        Err(_) => proc.join("cwd").join(path),
    }
}

pub(super) fn open_files(pid: u32) -> Sight<Vec<OpenFile>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).map_err(|error| unseen(&error))?;
    let file = |entry: fs::DirEntry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some(OpenFile { number, path: fs::read_link(entry.path()).ok()? })
    };
    Ok(entries.filter_map(Result::ok).filter_map(file).collect())
}

pub(super) fn appends(pid: u32, number: u32) -> Sight<bool> {
    let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).map_err(|error| unseen(&error))?;
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok()).unwrap_or_default();
    Ok(flags & libc::O_APPEND != 0 && flags & libc::O_ACCMODE != libc::O_RDONLY)
}

pub(super) fn has_loaded(pid: u32, library: &str) -> Sight<bool> {
    let maps = fs::read(format!("/proc/{pid}/maps")).map_err(|error| unseen(&error))?;
    let name = |line: &[u8]| {
        let path = line.iter().position(|byte| *byte == b'/').map(|at| OsStr::from_bytes(&line[at..]));
        path.and_then(|path| Path::new(path).file_name().map(OsStr::to_owned))
    };
    let mut names = maps.split(|byte| *byte == b'\n').filter_map(name);
    Ok(names.any(|name| name.as_bytes().starts_with(library.as_bytes())))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        process::{Command, Stdio},
    };

    use super::{super::Activity, *};
    use crate::file_id::FileId;

    #[test]
    fn a_hidden_proc_says_so() {
        let line = |options: &str| {
            format!("22 1 0:20 / /sys rw - sysfs sysfs rw\n23 28 0:21 / /proc rw - proc proc {options}\n")
        };
        for (options, hidden) in [
            ("rw", false),
            ("rw,hidepid=0", false),
            ("rw,hidepid=off", false),
            ("rw,gid=4,hidepid=2", true),
            ("rw,hidepid=invisible", true),
        ] {
            assert_eq!(hides(&line(options)), hidden, "{options}");
        }
        assert!(!hides(""));
    }

    #[test]
    fn sees_what_a_child_is_and_has() {
        let place = tempfile::tempdir().expect("a directory");
        let log = place.path().join("a.log");
        let script = format!("exec 7>>'{}'; read line", log.display());
        let mut child = Command::new("bash")
            .args(["-c", &script, "a name", ""])
            .current_dir(place.path())
            .env("ONE_OF_ITS_OWN", "a=b")
            .stdin(Stdio::piped())
            .spawn()
            .expect("a child");
        let pid = child.id();
        while activity(pid) != Ok(Activity::Waits) || !log.exists() {
            std::thread::yield_now();
        }
        let mut buffer = Vec::new();
        assert_eq!(arguments_into(pid, &mut buffer), Ok(true));
        assert_eq!(super::super::split_arguments(&buffer), ["bash", "-c", &script, "a name", ""]);
        assert!(executable(pid).expect("it runs").ends_with("bash"));
        let [own, none] = variables(pid, ["ONE_OF_ITS_OWN", "ONE_OF_ITS"]).expect("it runs");
        assert_eq!((own, none), (Some("a=b".into()), None));
        let id = |path: &Path| FileId::of_path(path).expect("it is there");
        assert_eq!(id(&reach(pid, Path::new("a.log"))), id(&log));
        assert_eq!(id(&reach(pid, &log)), id(&log));
        let open = open_files(pid).expect("it runs");
        let seen = open.iter().find(|file| file.number == 7).expect("its log");
        assert_eq!(seen.path, log.canonicalize().expect("it is there"));
        assert_eq!((appends(pid, 7), appends(pid, 0)), (Ok(true), Ok(false)));
        assert_eq!((has_loaded(pid, "libc"), has_loaded(pid, "libsomething_else")), (Ok(true), Ok(false)));
        assert!(processes().expect("there are some").contains(&pid));
        child.stdin.take().expect("its input").write_all(b"\n").expect("it listens");
        child.wait().expect("its end");
        assert_eq!(executable(pid), Err(Unseen::Gone));
    }
}
