//! What kind of file system a path is on: on a network one, locks are promises that nobody keeps.

use std::path::Path;

use crate::OsError;

/// The file system's name, when it is one whose locks cannot be trusted between machines.
///
/// # Errors
/// When the path cannot be looked at.
#[cfg(target_os = "linux")]
pub fn network_fs(path: &Path) -> Result<Option<&'static str>, OsError> {
    let found = rustix::fs::statfs(path).map_err(|error| OsError::path("look at the file system of", path, error))?;
    // Magic numbers of linux/magic.h, and of the file systems' own sources.
    let magic = found.f_type as u32;
    Ok(match magic {
        0x6969 => Some("NFS"),
        0x517b => Some("SMB"),
        0xff53_4d42 => Some("CIFS"),
        0xfe53_4d42 => Some("SMB2"),
        0x0102_1997 => Some("9p"),
        0x00c3_6400 => Some("Ceph"),
        0x0bd0_0bd0 => Some("Lustre"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x4750_4653 => Some("GPFS"),
        0x7461_636f => Some("OCFS2"),
        0x0116_1970 => Some("GFS2"),
        0x6573_5546 => fuse(path),
        _ => None,
    })
}

/// FUSE is trusted only for local block devices: an SSH or object store mount looks the same otherwise.
#[cfg(target_os = "linux")]
fn fuse(path: &Path) -> Option<&'static str> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let path = path.canonicalize().ok()?;
    let mut best: Option<(&str, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(place), Some(kind)) = (words.nth(1), words.next()) else { continue };
        if path.starts_with(place) && best.is_none_or(|(longest, _)| place.len() >= longest.len()) {
            best = Some((place, kind));
        }
    }
    match best {
        Some((_, "fuseblk")) => None,
        _ => Some("FUSE"),
    }
}

/// Elsewhere nothing is known, and nothing is refused.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn network_fs(_path: &Path) -> Result<Option<&'static str>, OsError> {
    Ok(None)
}
