//! What must not be shown: files with keys, their passphrases, keys of tickets.

use std::fmt;
use std::ops::Deref;

use zeroize::Zeroizing;

/// Bytes that are wiped when they are dropped, and that no debug output shows.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// A file with private keys or a PKCS#12 file, which may be encrypted, and its passphrase.
#[derive(Clone, Debug, Default)]
pub struct SecretFile {
    /// The file as it is.
    pub file: Secret,
    /// The passphrase, in the encoding in which it was when the file was made, mostly UTF-8. Not used where the file is not
    /// encrypted. Default: none.
    pub passphrase: Option<Secret>,
}

impl Deref for Secret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

impl From<Vec<u8>> for SecretFile {
    /// A file without a passphrase.
    fn from(file: Vec<u8>) -> Self {
        Self { file: file.into(), passphrase: None }
    }
}
