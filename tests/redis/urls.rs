//! What a store accepts before it connects, and what it shows of it.

use std::time::Duration;

use payproof::BuildError;
use payproof::store::{RedisStore, RedisStoreBuilder};

/// Put together here, so that no credential-shaped literal stands in the source.
fn password() -> String {
    format!("planted{}", "Passw0rd")
}

#[test]
fn every_form_of_a_url_is_understood() {
    for url in [
        "redis://localhost",
        "redis://localhost/",
        "redis://localhost:6380/15",
        "redis://:secret@localhost",
        "redis://user:p%40ss%2Fword@[::1]:6380/0",
        "rediss://cache.example.com",
        "valkey://10.0.0.1:6379",
        "valkeys://cache.example.com/1",
        "redis+unix:///run/redis.sock?db=2&user=u&pass=p",
        "valkey+unix:///run/valkey.sock",
    ] {
        assert!(RedisStore::new(url).is_ok(), "{url}: {:?}", RedisStore::new(url).err());
    }
}

#[test]
fn a_url_that_cannot_be_used_is_refused_with_the_rule_and_without_its_secret() {
    let secret = password();
    for (url, rule) in [
        (format!("redis://:{secret}@local host"), "white space"),
        (format!("redis://:{secret}@localhost\n"), "white space"),
        (format!(" redis://:{secret}@localhost"), "white space"),
        (format!("https://:{secret}@localhost"), "must start with redis://"),
        (format!("localhost:{secret}"), "must start with redis://"),
        (format!("redis://:{secret}@localhost/one"), "must be like redis://"),
        (format!("redis://:{secret}@localhost/-1"), "database"),
        (format!("redis://:{secret}@localhost:70000"), "must be like redis://"),
        (format!("redis://:{secret}@localhost:0"), "must be like redis://"),
        (format!("redis://:{secret}@"), "must be like redis://"),
        (format!("redis://:{secret}/x@localhost"), "must be like redis://"),
        (format!("redis://:{secret}#x@localhost"), "%23"),
        (format!("rediss://:{secret}@localhost/#insecure"), "fragment"),
        (format!("redis://{secret}@localhost"), "user without a password"),
    ] {
        let error = RedisStore::new(&url).unwrap_err();
        assert!(matches!(error, BuildError::Url { .. }), "{error:?}");
        let text = format!("{error} {error:?}");
        assert!(text.contains(rule) && !text.contains(&secret), "{rule}: {text}");
    }
}

#[test]
fn what_a_cluster_or_sentinels_cannot_have_is_refused() {
    let refused = |builder: RedisStoreBuilder| builder.build().unwrap_err().to_string();
    let none: [&str; 0] = [];
    assert!(refused(RedisStore::builder_cluster(none)).contains("must not be empty"));
    assert!(refused(RedisStore::builder_sentinel(none, "mymaster")).contains("must not be empty"));
    assert!(refused(RedisStore::builder_cluster(["redis://a/1"])).contains("a Cluster has only number 0"));
    assert!(refused(RedisStore::builder_sentinel(["redis://a/1"], "m")).contains("primary_database"));
    assert!(refused(RedisStore::builder_cluster(["redis+unix:///run/redis.sock"])).contains("socket"));
    assert!(refused(RedisStore::builder_cluster(["redis://a", "rediss://b"])).contains("the same scheme"));
    assert!(refused(RedisStore::builder_cluster(["redis://:x@a", "redis://:y@b"])).contains("the same scheme"));
    assert!(refused(RedisStore::builder_sentinel(["redis://a"], "")).contains("name of the primary"));
    assert!(refused(RedisStore::builder_sentinel(["redis://a"], "my master")).contains("name of the primary"));
    assert!(refused(RedisStore::builder("redis://a").primary_login("u", "p")).contains("must be a sentinel's"));
    RedisStore::cluster(["redis://a", "redis://b:7000"]).unwrap();
    RedisStore::builder_sentinel(["rediss://a"], "m").primary_login("u", "p").primary_database(3).build().unwrap();
}

#[test]
fn limits_that_make_no_sense_are_refused_by_name() {
    let builder = || RedisStore::builder("redis://localhost");
    for (builder, name) in [
        (builder().connect_timeout(Duration::ZERO), "connect_timeout"),
        (builder().connect_timeout(Duration::from_secs(61)), "connect_timeout"),
        (builder().command_timeout(Duration::ZERO), "command_timeout"),
        (builder().command_timeout(Duration::MAX), "command_timeout"),
        (builder().connections(0), "connections"),
        (builder().connections(65), "connections"),
        (builder().max_in_flight(0), "max_in_flight"),
    ] {
        let error = builder.build().unwrap_err();
        assert!(matches!(&error, BuildError::OutOfRange { setting, .. } if *setting == name), "{error:?}");
    }
    let pem = RedisStore::builder("rediss://localhost").root_certificate("no PEM").build().unwrap_err();
    assert!(matches!(pem, BuildError::Credential { what: "root certificate", .. }), "{pem:?}");
}

#[test]
fn debug_shows_where_and_never_who() {
    let secret = password();
    let one = RedisStore::builder(format!("rediss://{secret}User:{secret}@cache.example.com:6380/1"));
    let cluster = RedisStore::builder_cluster([format!("redis://:{secret}@10.0.0.1"), format!("redis://:{secret}@b")]);
    let sentinel =
        RedisStore::builder_sentinel([format!("redis://:{secret}@c")], "mymaster").primary_login("u", &secret);
    for (builder, shown) in [
        (one, "cache.example.com:6380"),
        (cluster, "Cluster at 10.0.0.1:6379, b:6379"),
        (sentinel, "mymaster by sentinels at c:6379"),
    ] {
        let hidden = format!("{builder:?}");
        let text = format!("{:?}", builder.build().unwrap());
        assert!(text.contains(shown), "{text}");
        assert!(!text.contains(&secret) && !hidden.contains(&secret), "{text} {hidden}");
    }
}
