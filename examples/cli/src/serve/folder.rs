//! A folder whose files are served. The host keeps to it: what is opened is opened relative to its descriptor, and neither `..` nor a
//! symbolic link leads out of that.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasip2::filesystem::preopens;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags};

use crate::failure::{Failure, Result};

/// The folder.
pub(super) struct Folder {
    descriptor: Descriptor,
}

/// A file that is open.
pub(super) struct File {
    descriptor: Descriptor,
    /// In bytes.
    pub(super) size: u64,
    /// When it was changed last, in whole seconds as HTTP has them; none where the host does not know.
    pub(super) modified: Option<SystemTime>,
    /// Its media type, by its name.
    pub(super) media_type: &'static str,
}

/// What is at a path.
pub(super) enum Found {
    /// A file.
    File(File),
    /// A folder, and the path does not end as one of a folder does.
    Folder,
    /// Nothing that is served.
    Nothing,
    /// Something that the host does not let us read.
    Forbidden,
}

impl Folder {
    /// Opens a folder, by a path as the host gave it to the program.
    pub(super) fn open(path: &Path) -> Result<Folder> {
        let wrong = |why: &str| Failure::file(format!("--www {}: {why}", path.display()));
        let wanted = components(path.to_str().ok_or_else(|| wrong("the path is not UTF-8"))?);
        let mut preopens: Vec<_> =
            preopens::get_directories().into_iter().map(|(at, name)| (at, components(&name).join("/"))).collect();
        // The longest that it is in.
        preopens.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
        let wanted = wanted.join("/");
        let within = |name: &str| match wanted.strip_prefix(name) {
            Some(rest) if name.is_empty() || rest.is_empty() || rest.starts_with('/') => {
                Some(rest.trim_start_matches('/'))
            }
            _ => None,
        };
        let found = preopens.iter().find_map(|(at, name)| Some((at, within(name)?)));
        let (at, rest) =
            found.ok_or_else(|| wrong("it is in no folder that the host opened (wasmtime run --dir FOLDER)"))?;
        let rest = if rest.is_empty() { "." } else { rest };
        let descriptor = at
            .open_at(PathFlags::SYMLINK_FOLLOW, rest, OpenFlags::DIRECTORY, DescriptorFlags::READ)
            .map_err(|error| wrong(error.message()))?;
        Ok(Folder { descriptor })
    }

    /// What is at this path, whose parts are names; `is_folder`: whether there was a slash at its end.
    pub(super) fn find(&self, path: &[String], is_folder: bool) -> std::result::Result<Found, ErrorCode> {
        // Names that begin with a dot are for programs, and often secret. The one exception is RFC 8615's.
        if path.iter().enumerate().any(|(index, name)| name.starts_with('.') && (index > 0 || name != ".well-known")) {
            return Ok(Found::Nothing);
        }
        let mut path = path.join("/");
        if is_folder {
            path += if path.is_empty() { "index.html" } else { "/index.html" };
        }
        match self.try_find(&path) {
            Ok(Found::Folder) if is_folder => Ok(Found::Nothing),
            Err(ErrorCode::Access) => Ok(Found::Forbidden),
            Err(
                ErrorCode::NoEntry
                | ErrorCode::NotDirectory
                // A link that leads out of the folder.
                | ErrorCode::NotPermitted
                | ErrorCode::Loop
                | ErrorCode::NameTooLong
                | ErrorCode::IllegalByteSequence
                | ErrorCode::Invalid,
            ) => Ok(Found::Nothing),
            other => other,
        }
    }

    fn try_find(&self, path: &str) -> std::result::Result<Found, ErrorCode> {
        // To open a pipe would wait for who writes to it.
        match self.descriptor.stat_at(PathFlags::SYMLINK_FOLLOW, path)?.type_ {
            DescriptorType::RegularFile => {}
            DescriptorType::Directory => return Ok(Found::Folder),
            _ => return Ok(Found::Nothing),
        }
        let descriptor =
            self.descriptor.open_at(PathFlags::SYMLINK_FOLLOW, path, OpenFlags::empty(), DescriptorFlags::READ)?;
        let stat = descriptor.stat()?;
        let modified = stat.data_modification_timestamp.map(|time| UNIX_EPOCH + Duration::from_secs(time.seconds));
        Ok(Found::File(File { descriptor, size: stat.size, modified, media_type: media_type(path) }))
    }
}

impl File {
    /// At most `max` bytes from this offset on.
    pub(super) fn read(&self, offset: u64, max: u64) -> Result<Vec<u8>> {
        let failed = |error: ErrorCode| Failure::network(format!("a file can't be read: {}", error.message()));
        Ok(self.descriptor.read(max, offset).map_err(failed)?.0)
    }
}

/// As the C library takes paths: relative ones, and `/`, are those of the host's folders.
fn components(path: &str) -> Vec<&str> {
    path.split('/').filter(|name| !name.is_empty() && *name != ".").collect()
}

fn media_type(path: &str) -> &'static str {
    let extension = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension);
    let extension = extension.unwrap_or_default().to_ascii_lowercase();
    let known = MEDIA_TYPES.iter().find(|(extensions, _)| extensions.contains(&extension.as_str()));
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

/// Of what web pages are made of.
const MEDIA_TYPES: &[(&[&str], &str)] = &[
    (&["html", "htm"], "text/html; charset=utf-8"),
    (&["css"], "text/css; charset=utf-8"),
    (&["js", "mjs"], "text/javascript; charset=utf-8"),
    (&["json", "map"], "application/json"),
    (&["txt", "md", "log"], "text/plain; charset=utf-8"),
    (&["csv"], "text/csv; charset=utf-8"),
    (&["xml"], "application/xml"),
    (&["wasm"], "application/wasm"),
    (&["pdf"], "application/pdf"),
    (&["svg"], "image/svg+xml"),
    (&["png"], "image/png"),
    (&["jpg", "jpeg"], "image/jpeg"),
    (&["gif"], "image/gif"),
    (&["webp"], "image/webp"),
    (&["avif"], "image/avif"),
    (&["ico"], "image/vnd.microsoft.icon"),
    (&["woff"], "font/woff"),
    (&["woff2"], "font/woff2"),
    (&["ttf"], "font/ttf"),
    (&["mp3"], "audio/mpeg"),
    (&["ogg"], "audio/ogg"),
    (&["mp4"], "video/mp4"),
    (&["webm"], "video/webm"),
    (&["zip"], "application/zip"),
    (&["gz"], "application/gzip"),
];
