//! A real PostgreSQL: Debian's, started for a test, on 127.0.0.1.
//!
//! It lets nobody in without TLS 1.2 or 1.3, a client certificate for the name of the role (`clientcert=verify-full`) and a password by
//! SCRAM. It ends with the value that holds it, and since it is a pipe that it waits for, with this process in any case.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::certificates::{Identity, Kind, Request};

/// What a server is to be like.
#[derive(Clone, Default)]
pub struct Settings {
    /// Its certificate and key. `None`: it has no TLS, and answers `N` to `SSLRequest`.
    pub identity: Option<Arc<Identity>>,
    /// Whose client certificates it takes. `None`: those of [`Kind::authority`] of P-256.
    pub client_authority: Option<Arc<Identity>>,
    /// Whether it lets in who comes without TLS and has a password, as it does behind a proxy that takes TLS off.
    pub cleartext: bool,
    /// The highest version of TLS, as `postgresql.conf` spells it, for example `TLSv1.2`. `None`: the highest that it has.
    pub max_protocol_version: Option<&'static str>,
}

/// A server that runs.
pub struct Postgres {
    /// Its TCP port on 127.0.0.1.
    pub port: u16,
    /// Everything that belongs to it. The shell removes it.
    folder: PathBuf,
    /// What waits for the end of its input, which comes when this is dropped: see [`SCRIPT`].
    shell: Child,
}

/// The role that may log in. It is a superuser: a test may do whatever it likes.
pub const USER: &str = "alice";

/// The password of [`USER`].
pub const PASSWORD: &str = "correct horse battery staple";

/// The database to log in to.
pub const DATABASE: &str = "postgres";

/// A client certificate for the role `name`, issued by `authority`.
pub fn client(name: &str, authority: &Identity) -> Arc<Identity> {
    let extensions =
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth";
    Request { issuer: Some(authority), extensions: Some(extensions), ..Request::new(name, Kind::P256) }.issue()
}

impl Settings {
    /// A server with this certificate, which takes client certificates of [`Kind::authority`] of P-256.
    pub fn new(identity: Arc<Identity>) -> Settings {
        Settings { identity: Some(identity), ..Settings::default() }
    }
}

impl Postgres {
    /// Makes a server and starts it; it answers when this is done. Takes some two seconds.
    pub async fn start(settings: &Settings) -> Result<Postgres> {
        let programs = programs()?;
        let owner = Owner::find()?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let folder = new_folder(&owner)?;
            if let Err(error) = initialize(&programs, &owner, &folder, settings).await {
                // A folder that stays says no more than the error does.
                let _ = fs::remove_dir_all(&folder);
                return Err(error);
            }
            // PostgreSQL can't choose a port by itself. Between our choice and its start, somebody else may take the one that we chose.
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            let shell = launch(&programs, &owner, &folder, port, settings)?;
            let mut server = Postgres { port, folder, shell };
            match server.ready().await {
                Ok(()) => return Ok(server),
                Err(_) if attempts < 5 && server.log().contains("Address already in use") => server.stop().await,
                Err(error) => return Err(error),
            }
        }
    }

    /// What it has said so far: connections, who was let in and who was not.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join(LOG)).unwrap_or_default()
    }

    /// Ends it at once, and waits for that.
    pub async fn stop(mut self) {
        self.shell.stdin.take();
        // Who waits no longer has done what can be done.
        let _ = tokio::time::timeout(PATIENCE, self.shell.wait()).await;
    }

    /// Waits until it answers.
    async fn ready(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            if self.folder.join(ENDED).exists() {
                bail!("PostgreSQL does not start: {}", self.log());
            }
            // The line comes after the ports are open, and before that the port could be somebody else's.
            if self.log().contains("database system is ready to accept connections")
                && TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_ok()
            {
                return Ok(());
            }
            ensure!(started.elapsed() < PATIENCE, "PostgreSQL is not ready after {PATIENCE:?}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The folder of PostgreSQL's programs: `GUEST_TLS_POSTGRES`, or the newest of Debian's, which are not in `PATH`.
pub fn programs() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("GUEST_TLS_POSTGRES") {
        return Ok(folder.into());
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let newest = versions.max().context(
        "there is no PostgreSQL in /usr/lib/postgresql: apt-get install postgresql, or set GUEST_TLS_POSTGRES to the folder with \
         its programs initdb and postgres",
    )?;
    Ok(format!("/usr/lib/postgresql/{newest}/bin").into())
}

/// Who runs it: PostgreSQL refuses to be root.
struct Owner(Option<(u32, u32)>);

impl Owner {
    /// This user, or where that is root, Debian's `postgres`.
    fn find() -> Result<Owner> {
        if fs::metadata("/proc/self")?.uid() != 0 {
            return Ok(Owner(None));
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|user| user[0] == "postgres");
        let fields = fields.context("PostgreSQL does not run as root, and there is no user `postgres`")?;
        let number = |index: usize| fields.get(index).and_then(|field| field.parse().ok());
        Ok(Owner(number(2).zip(number(3))))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = match self.0 {
            None => Command::new(program),
            Some((user, group)) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={user}"), format!("--regid={group}"), "--clear-groups".into()]);
                command.arg("--").arg(program);
                command
            }
        };
        // It looks for the folder it is in, which may be closed to this user.
        command.current_dir("/").env("LC_ALL", "C");
        command
    }

    /// Writes a file that only this user can read.
    fn write(&self, path: &Path, text: &str) -> Result<()> {
        fs::write(path, text).with_context(|| format!("can't write {}", path.display()))?;
        self.take(path, 0o600)
    }

    fn take(&self, path: &Path, mode: u32) -> Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        let (user, group) = self.0.unzip();
        chown(path, user, group).with_context(|| format!("can't give {} to PostgreSQL's user", path.display()))
    }
}

/// A folder in the system's one for temporary files: the target folder can be closed to PostgreSQL's user, and the path of a Unix
/// socket has to be short.
fn new_folder(owner: &Owner) -> Result<PathBuf> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("guest-tls-postgres-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let folder = std::env::temp_dir().join(name);
    // Of a process that had our number before.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).with_context(|| format!("can't make {}", folder.display()))?;
    owner.take(&folder, 0o700)?;
    Ok(folder)
}

async fn initialize(programs: &Path, owner: &Owner, folder: &Path, settings: &Settings) -> Result<()> {
    owner.write(&folder.join("password"), PASSWORD)?;
    if let Some(identity) = &settings.identity {
        owner.write(&folder.join("server.crt"), &identity.full_chain())?;
        owner.write(&folder.join("server.key"), &identity.key)?;
    }
    let authority = settings.client_authority.clone().unwrap_or_else(|| Kind::P256.authority());
    owner.write(&folder.join("clients.crt"), &authority.certificate)?;
    let mut initdb = owner.command(&programs.join("initdb"));
    initdb.arg("-D").arg(folder.join(DATA)).arg("--pwfile").arg(folder.join("password"));
    initdb.args(["--username", USER, "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync"]);
    initdb.args(["--no-instructions"]).stdin(Stdio::null());
    let output = initdb.output().await.context("initdb can't be started")?;
    ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    // Without TLS it lets in nobody, as it should: such a server is there to say so.
    let hostssl = "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-full\n";
    let host = if settings.cleartext { "hostnossl all all 127.0.0.1/32 scram-sha-256\n" } else { "" };
    owner.write(&folder.join(DATA).join("pg_hba.conf"), &format!("{hostssl}{host}"))
}

fn launch(programs: &Path, owner: &Owner, folder: &Path, port: u16, settings: &Settings) -> Result<Child> {
    let file = |name: &str| folder.join(name).display().to_string();
    let mut options = vec![
        format!("port={port}"),
        "listen_addresses=127.0.0.1".to_string(),
        format!("unix_socket_directories={}", folder.display()),
        "password_encryption=scram-sha-256".to_string(),
        "log_connections=on".to_string(),
        // What is in it need not outlive it.
        "fsync=off".to_string(),
        "shared_buffers=16MB".to_string(),
    ];
    if settings.identity.is_some() {
        options.push("ssl=on".to_string());
        options.push(format!("ssl_cert_file={}", file("server.crt")));
        options.push(format!("ssl_key_file={}", file("server.key")));
        options.push(format!("ssl_ca_file={}", file("clients.crt")));
    }
    options.extend(settings.max_protocol_version.map(|version| format!("ssl_max_protocol_version={version}")));

    let mut command = owner.command(Path::new("/bin/sh"));
    command.args(["-c", SCRIPT]).arg(folder).arg(programs.join("postgres")).arg("-D").arg(folder.join(DATA));
    command.args(options.iter().flat_map(|option| ["-c", option]));
    let log = fs::File::create(folder.join(LOG))?;
    command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
    command.spawn().context("PostgreSQL can't be started")
}

/// Runs a command until standard input ends: then it gets SIGQUIT, at which PostgreSQL ends at once, and its folder `$0` is removed.
/// If it ends by itself before that, the file [`ENDED`] says so.
const SCRIPT: &str = r#"exec 3<&0
"$@" 3<&- &
server=$!
(read -r _ <&3; kill -QUIT "$server") &
reader=$!
wait "$server"
kill "$reader"
touch "$0/ended"
read -r _ <&3
rm -rf "$0""#;

const ENDED: &str = "ended";

const DATA: &str = "data";

const LOG: &str = "log";

/// How long it may take to start, or to end.
const PATIENCE: Duration = Duration::from_secs(60);
