//! What a cache's builder refuses, and how it says so.

use payproof::Validator;
use payproof::cache::{Cache, CacheBuilder};
use payproof::store::MemoryStore;
use payproof::testing::ScriptedProvider;

fn refusal(builder: CacheBuilder) -> String {
    builder.build().err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn what_would_not_work_is_refused_by_its_name_and_rule() {
    let shop = || Cache::builder(MemoryStore::new()).namespace("shop");
    for keys in [0, 5] {
        let said = refusal(shop().record_keys(vec![[1; 32]; keys]));
        assert_eq!(said, format!("record_keys is {keys} keys, and must be 1 to 4 keys"));
    }
    for prefix in ["", "a b", &"x".repeat(65)] {
        let said = refusal(shop().store_prefix(prefix));
        assert_eq!(
            said,
            format!("store_prefix is {prefix}, and must be 1 to 64 of A-Z, a-z, 0-9, `_`, `-`, `.` and `:`")
        );
    }
    for name in [String::new(), "x".repeat(101)] {
        assert!(refusal(shop().namespace(name)).starts_with("namespace is "));
    }
    shop().record_keys([[1; 32]; 4]).store_prefix("shop:cache").build().unwrap();
}

#[test]
fn a_validators_cache_takes_no_prefix_and_no_keys_of_its_own() {
    let validator = Validator::builder(ScriptedProvider::new()).build().unwrap();
    let unset = "must be unset, since a validator's cache has the validator's";
    let said = refusal(validator.cache().store_prefix("other"));
    assert!(said.starts_with("store_prefix is ") && said.ends_with(unset), "{said}");
    let said = refusal(validator.cache().record_keys([[1; 32]]));
    assert!(said.starts_with("record_keys is ") && said.ends_with(unset), "{said}");
    validator.cache().build().unwrap();
}
