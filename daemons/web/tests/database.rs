//! The database: what is answered is stored, and nothing else.

mod support;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use support::Folder;
use tollwire_web::database::rusqlite::{Connection, Error};
use tollwire_web::database::{Database, Failure, Options};

static MIGRATIONS: &[&str] = &[
    "CREATE TABLE paid (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT",
    "ALTER TABLE paid ADD COLUMN more INTEGER NOT NULL DEFAULT 7",
];

fn open(path: &Path) -> Database {
    Database::open(path, &Options::new(MIGRATIONS)).unwrap()
}

fn insert(id: i64, octets: usize) -> impl FnOnce(&Connection) -> Result<i64, Error> + Send {
    move |connection| {
        let sql = "INSERT INTO paid (id, text) VALUES (?1, ?2)";
        connection.execute(sql, (id, "x".repeat(octets)))?;
        Ok(id)
    }
}

async fn ids(database: &Database) -> Vec<i64> {
    let all = |connection: &Connection| {
        let mut statement = connection.prepare("SELECT id FROM paid ORDER BY id")?;
        let rows = statement.query_map((), |row| row.get(0))?;
        rows.collect::<Result<Vec<i64>, Error>>()
    };
    database.read(all).await.unwrap()
}

#[tokio::test]
async fn what_fails_is_undone_and_nothing_else() {
    let folder = Folder::new("undone");
    let database = open(&folder.path("web.db"));
    // The writer waits in the first, so that the others are one group.
    let (go_on, wait) = mpsc::channel::<()>();
    let first = database.call(move |_| wait.recv());
    let calls: Vec<_> = (0..20)
        .map(|id| {
            database.call(move |connection| {
                insert(id, 1)(connection).map_err(|error| error.to_string())?;
                match id % 5 {
                    0 => Err(format!("no {id}")),
                    1 => insert(id, 1)(connection).map_err(|_| "twice".to_owned()),
                    _ => Ok(id),
                }
            })
        })
        .collect();
    go_on.send(()).unwrap();
    first.await.unwrap();
    let mut stored = Vec::new();
    for (id, call) in (0..).zip(calls) {
        match call.await {
            Ok(value) => stored.push(value),
            Err(Failure::Refused(why)) if id % 5 == 0 => assert_eq!(why, format!("no {id}")),
            Err(Failure::Refused(why)) => assert_eq!((why.as_str(), id % 5), ("twice", 1)),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(stored.len(), 12);
    assert_eq!(ids(&database).await, stored);
    // Questions change nothing.
    let change = database.read(|connection| connection.execute("DELETE FROM paid", ()));
    assert!(matches!(change.await, Err(Failure::Refused(_))));
    // A call that nobody waits for is made all the same, before those after it.
    drop(database.call(insert(100, 1)));
    let again = database.call(insert(100, 1)).await;
    assert!(matches!(again, Err(Failure::Refused(_))));
}

#[tokio::test]
async fn what_is_answered_is_set_to_be_on_disk_and_the_file_is_ours() {
    let folder = Folder::new("settings");
    let path = folder.path("web.db");
    let database = open(&path);
    database.call(insert(1, 1)).await.unwrap();
    let settings = |connection: &Connection| {
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        Ok::<_, Error>((pragma("synchronous")?, pragma("foreign_keys")?))
    };
    assert_eq!(database.call(settings).await.unwrap(), (2, 1), "FULL, ON");
    for name in ["web.db", "web.db-wal", "web.db.lock"] {
        let mode = std::fs::metadata(folder.path(name)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o640, "{name}");
    }
    let second = Database::open(&path, &Options::new(MIGRATIONS));
    assert!(second.err().unwrap().contains("another process uses it"));
    let clone = database.clone();
    database.close();
    assert_eq!(clone.call(insert(2, 1)).await, Err(Failure::Closed));
    assert_eq!(
        clone.read(|_| Ok::<_, Error>(())).await,
        Err(Failure::Closed)
    );
    let database = open(&path);
    assert_eq!(ids(&database).await, [1]);
}

#[tokio::test]
async fn too_many_that_wait_are_refused() {
    let folder = Folder::new("busy");
    let options = Options {
        queue: 2,
        ..Options::new(MIGRATIONS)
    };
    let database = Database::open(&folder.path("web.db"), &options).unwrap();
    let (go_on, wait) = mpsc::channel::<()>();
    let (begun, begins) = mpsc::channel::<()>();
    let first = database.call(move |_| {
        begun.send(()).unwrap();
        wait.recv()
    });
    begins.recv().unwrap();
    let waiting = [database.call(insert(1, 1)), database.call(insert(2, 1))];
    assert_eq!(database.call(insert(3, 1)).await, Err(Failure::Busy));
    go_on.send(()).unwrap();
    first.await.unwrap();
    for call in waiting {
        call.await.unwrap();
    }
    assert_eq!(ids(&database).await, [1, 2]);
}

#[tokio::test]
async fn an_older_file_is_brought_up_to_date_and_a_newer_one_refused() {
    let folder = Folder::new("migration");
    let path = folder.path("web.db");
    let first = Options::new(&MIGRATIONS[..1]);
    let database = Database::open(&path, &first).unwrap();
    database.call(insert(1, 1)).await.unwrap();
    drop(database);
    let database = open(&path);
    let more = |connection: &Connection| {
        connection.query_row("SELECT more FROM paid", (), |row| row.get::<_, i64>(0))
    };
    assert_eq!(database.read(more).await.unwrap(), 7);
    drop(database);
    let error = Database::open(&path, &first).err().unwrap();
    assert!(
        error.contains("version 2, and this program knows 1"),
        "{error}"
    );
    static WRONG: &[&str] = &[
        "CREATE TABLE paid (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT",
        "ALTER TABLE paid ADD COLUMN more INTEGER NOT NULL DEFAULT 7",
        "CREATE TABLE other (id INTEGER); CREATE TABLE paid (id INTEGER)",
    ];
    let error = Database::open(&path, &Options::new(WRONG)).err().unwrap();
    assert!(error.contains("paid"), "{error}");
    let tables = |connection: &Connection| {
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| {
            row.get::<_, i64>(0)
        })
    };
    assert_eq!(open(&path).read(tables).await.unwrap(), 1, "not by half");
}

const CHILD: &str = "TOLLWIRE_WEB_TEST_DATABASE";

/// Not a test by itself: the process that is killed by the next one.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD).map(PathBuf::from) else {
        return;
    };
    let database = open(&path);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        for group in 0.. {
            let calls: Vec<_> = (0..10)
                .map(|at| {
                    database.call(move |connection| {
                        // Both or none.
                        insert(group * 20 + at * 2, 100)(connection)?;
                        insert(group * 20 + at * 2 + 1, 100)(connection)
                    })
                })
                .collect();
            for call in calls {
                println!("stored {}", call.await.unwrap());
            }
        }
    });
}

#[tokio::test]
async fn killed_at_any_time_it_has_what_it_answered() {
    let folder = Folder::new("killed");
    let path = folder.path("web.db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child_that_writes_until_it_is_killed",
            "--nocapture",
        ])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answered = Vec::new();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        if let Some((_, id)) = line.split_once("stored ") {
            answered.push(id.parse::<i64>().unwrap());
        }
        if answered.len() == 500 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(answered.len() >= 500);
    let stored = ids(&open(&path)).await;
    for id in &answered {
        assert!(stored.binary_search(id).is_ok(), "{id} was answered");
    }
    for id in &stored {
        assert!(
            stored.binary_search(&(id ^ 1)).is_ok(),
            "{id} is half of two"
        );
    }
}

/// A file system of its own; unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(folder: PathBuf, octets: usize) -> Self {
        std::fs::create_dir(&folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={octets}"), "tmpfs"])
            .arg(&folder)
            .status()
            .unwrap();
        assert!(
            mounted.success(),
            "this test mounts a tmpfs: run it as root"
        );
        Self(folder)
    }

    fn fill(&self) {
        use std::io::Write;
        let mut ballast = std::fs::File::create(self.0.join("ballast")).unwrap();
        let full = loop {
            if let Err(error) = ballast.write_all(&[0; 4096]) {
                break error;
            }
        };
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_answered_that_is_not_stored() {
    let folder = Folder::new("full");
    let disk = SmallDisk::at(folder.path("disk"), 8 << 20);
    let path = disk.0.join("web.db");
    let database = open(&path);
    let mut stored = Vec::new();
    let mut id = 0;
    for _ in 0..3 {
        disk.fill();
        // What there is room for already is still stored; soon nothing is. Some are larger than SQLite's cache, so
        // that the disk is full in the middle of the transaction.
        let mut refused = 0;
        while refused < 20 {
            let calls: Vec<_> = (0..8)
                .map(|at| database.call(insert(id + at, if at == 3 { 3 << 20 } else { 1000 })))
                .collect();
            for (at, call) in (id..).zip(calls) {
                match call.await {
                    Ok(id) => stored.push(id),
                    Err(Failure::NotStored(_) | Failure::Refused(_)) => refused += 1,
                    Err(other) => panic!("{at}: {other}"),
                }
            }
            id += 8;
        }
        assert_eq!(ids(&database).await, stored);
        disk.free();
        // The same handle goes on.
        stored.push(database.call(insert(id, 1000)).await.unwrap());
        id += 1;
    }
    disk.fill();
    while database.call(insert(id, 1000)).await.is_ok() {
        stored.push(id);
        id += 1;
    }
    drop(database);
    assert_eq!(ids(&open(&path)).await, stored, "on the full disk too");
}
