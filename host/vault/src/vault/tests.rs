//! Sealed values on a real store: they come back whole, or not at all.

use model::Credential;
use store::{JournalStore, Options};

use super::*;

struct Bench {
    folder: tempfile::TempDir,
    vault: Vault,
    store: JournalStore,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let vault = Vault::open(&folder.path().join("key")).expect("opens");
        let store = JournalStore::open(&folder.path().join("store"), Options::default()).expect("opens");
        Self { folder, vault, store }
    }

    fn commit(&self, fill: impl FnOnce(&mut Batch)) {
        let mut batch = Batch::new();
        fill(&mut batch);
        self.store.commit(batch).wait().expect("commits");
    }

    fn put(&self, environment: &str, connection: &str, secrets: &Secrets) {
        let (environment, connection) = names(environment, connection);
        self.commit(|batch| self.vault.put(batch, &environment, &connection, secrets).expect("seals"));
    }

    fn get(&self, environment: &str, connection: &str) -> Result<Option<Secrets>, VaultError> {
        let (environment, connection) = names(environment, connection);
        self.vault.get(&self.store, &environment, &connection)
    }

    fn sealed(&self, environment: &str, connection: &str, field: &'static str) -> (Vec<u8>, Vec<u8>) {
        let (environment, connection) = names(environment, connection);
        let key = key(Place { environment: &environment, connection: &connection, field });
        let value = self.store.get(&key).expect("reads").expect("is there");
        (key, value.to_vec())
    }

    fn code(&self, environment: &str, connection: &str) -> String {
        self.get(environment, connection).expect_err("refused").to_problem().code
    }
}

fn names(environment: &str, connection: &str) -> (Environment, ConnectionId) {
    (environment.parse().expect("environment"), connection.parse().expect("connection"))
}

fn bearer(token: &str) -> Secrets {
    Secrets { credential: Credential::Bearer { token: token.into() }, webhook_secret: Some("hook-secret-1".into()) }
}

/// A credential laid open, to compare.
fn shown(credential: &Credential) -> (String, Option<String>, Option<String>) {
    let name = match credential {
        Credential::Basic { user, .. } => Some(user.clone()),
        Credential::Header { name, prefix, .. } => Some(format!("{name}|{prefix}")),
        Credential::Query { name, .. } => Some(name.clone()),
        Credential::Bearer { .. } | Credential::None => None,
    };
    (credential.scheme().to_owned(), name, credential.secret().map(str::to_owned))
}

#[test]
fn every_scheme_comes_back_as_it_was_put() {
    let bench = Bench::new();
    let secret = || SecretString::from("s3cret \"\\ é %");
    for credential in [
        Credential::Bearer { token: secret() },
        Credential::Basic { user: "user".into(), password: secret() },
        Credential::Header { name: "x-api-key".into(), prefix: "Token ".into(), value: secret() },
        Credential::Query { name: "key".into(), value: secret() },
        Credential::None,
    ] {
        for webhook_secret in [Some(SecretString::from("hook-secret-1")), None] {
            let secrets = Secrets { credential: credential.clone(), webhook_secret };
            bench.put("test", "team-slack", &secrets);
            let got = bench.get("test", "team-slack").expect("opens").expect("is there");
            assert_eq!(shown(&got.credential), shown(&credential));
            let hooks = [&got.webhook_secret, &secrets.webhook_secret].map(|s| s.as_ref().map(|s| s.expose_secret()));
            assert_eq!(hooks[0], hooks[1]);
        }
    }
    let (environment, connection) = names("test", "team-slack");
    bench.commit(|batch| bench.vault.remove(batch, &environment, &connection));
    assert!(bench.get("test", "team-slack").expect("reads").is_none());
    assert!(bench.get("test", "never-made").expect("reads").is_none());
}

#[test]
fn every_flipped_byte_and_every_cut_is_noticed() {
    let bench = Bench::new();
    bench.put("test", "team-slack", &bearer("xoxb-token-1"));
    for field in [CREDENTIAL, WEBHOOK_SECRET] {
        let (key, good) = bench.sealed("test", "team-slack", field);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            bench.commit(|batch| batch.put(&key, &bad));
            // The key's id stands in bytes 1 to 8: another one means another key.
            let wanted = if (1..9).contains(&at) { "vault-wrong-key" } else { "vault-damaged" };
            assert_eq!(bench.code("test", "team-slack"), wanted, "{field} byte {at}");
        }
        for length in [0, 1, 32, 33, good.len() - 1] {
            bench.commit(|batch| batch.put(&key, &good[..length]));
            assert_eq!(bench.code("test", "team-slack"), "vault-damaged", "{field} cut to {length}");
        }
        bench.commit(|batch| batch.put(&key, &good));
    }
    assert!(bench.get("test", "team-slack").expect("opens").is_some());
}

#[test]
fn a_value_opens_only_in_its_own_place() {
    let bench = Bench::new();
    let places = [("test", "one"), ("test", "two"), ("production", "one")];
    for (environment, connection) in places {
        bench.put(environment, connection, &bearer("xoxb-token-1"));
    }
    for from in places {
        for to in places {
            for (from_field, to_field) in [(CREDENTIAL, CREDENTIAL), (WEBHOOK_SECRET, CREDENTIAL)] {
                if from == to && from_field == to_field {
                    continue;
                }
                let (_, moved) = bench.sealed(from.0, from.1, from_field);
                let (key, good) = bench.sealed(to.0, to.1, to_field);
                bench.commit(|batch| batch.put(&key, &moved));
                assert_eq!(bench.code(to.0, to.1), "vault-damaged", "{from:?} to {to:?}");
                bench.commit(|batch| batch.put(&key, &good));
            }
        }
    }
}

#[test]
fn the_same_secret_never_looks_the_same() {
    let bench = Bench::new();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        bench.put("test", "one", &bearer("xoxb-token-1"));
        let (_, sealed) = bench.sealed("test", "one", CREDENTIAL);
        assert!(!sealed.windows(5).any(|part| part == b"token" || part == b"xoxb-"));
        assert!(seen.insert(sealed[9..33].to_vec()), "a nonce came twice");
    }
}

#[test]
fn another_key_file_is_named_as_the_cause() {
    let bench = Bench::new();
    bench.put("test", "one", &bearer("xoxb-token-1"));
    let other = Vault::open(&bench.folder.path().join("other-key")).expect("opens");
    let (environment, connection) = names("test", "one");
    let error = other.get(&bench.store, &environment, &connection).expect_err("refused");
    let problem = error.to_problem();
    assert_eq!(problem.code, "vault-wrong-key");
    assert!(problem.fix.expect("has a fix").contains("restore the key file"));
    assert_ne!(other.derive_key("a"), bench.vault.derive_key("a"));
}

#[test]
fn derived_keys_last_and_differ_by_purpose() {
    let bench = Bench::new();
    let again = Vault::open(&bench.folder.path().join("key")).expect("opens");
    assert_eq!(again.derive_key("sandbox code cache"), bench.vault.derive_key("sandbox code cache"));
    assert_ne!(bench.vault.derive_key("a"), bench.vault.derive_key("b"));
    assert_ne!(bench.vault.derive_key("seal"), *bench.vault.master.derive("sluicegate vault", "seal"));
}

#[test]
fn secrets_that_cannot_be_scrubbed_or_sent_are_refused() {
    let token = |text: &str| Credential::Bearer { token: text.into() };
    let header = |name: &str, prefix: &str| Credential::Header {
        name: name.into(),
        prefix: prefix.into(),
        value: "long-enough".into(),
    };
    let basic = |user: &str| Credential::Basic { user: user.into(), password: "long-enough".into() };
    for (credential, code) in [
        (token("1234567"), "secret-too-short"),
        (token(""), "secret-too-short"),
        (token("12345678\n"), "secret-unusable"),
        (token(" 12345678"), "secret-unusable"),
        (token("1234\r\nx: y"), "secret-unusable"),
        (token(&"a".repeat(9_000)), "secret-unusable"),
        (basic("a:b"), "secret-unusable"),
        (header("X-Key", ""), "secret-unusable"),
        (header("", ""), "secret-unusable"),
        (header("x-key", "a\n"), "secret-unusable"),
        (Credential::Query { name: String::new(), value: "long-enough".into() }, "secret-unusable"),
    ] {
        let secrets = Secrets { credential, webhook_secret: None };
        let problem = secrets.check().expect_err("refused").to_problem();
        assert_eq!(problem.code, code, "{secrets:?}");
        let said = problem.to_string();
        assert!(problem.cause.is_some() && problem.fix.is_some() && !said.contains("1234"), "{said}");
    }
    let secrets = Secrets { credential: token("12345678"), webhook_secret: Some("short".into()) };
    assert_eq!(secrets.check().expect_err("refused").to_problem().code, "secret-too-short");
    assert!(bearer("12345678").check().is_ok());
}

#[test]
fn nothing_prints_a_secret() {
    let bench = Bench::new();
    bench.put("test", "one", &bearer("xoxb-token-1"));
    let got = bench.get("test", "one").expect("opens");
    let printed = format!("{got:?} {:?} {:?}", bench.vault, bearer("xoxb-token-1"));
    assert!(printed.contains("bearer") && !printed.contains("xoxb") && !printed.contains("hook-secret"), "{printed}");
}
