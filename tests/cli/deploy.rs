//! docs/deploying.md, followed: the example service on a server with exactly the settings and the user of that page.

use std::path::Path;
use std::process::Command;

#[test]
fn the_example_service_is_deployed_from_the_page_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Tests bring programs along, and no examples. Its dependencies are built, since those of the tests are the same.
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--all-features", "--example", "checkout_service", "--message-format", "json"]);
    // What cargo tells a test of its package. Build scripts look at some of it, so that with it the dependencies would be built
    // anew, under the hands of every other cargo that uses them.
    for (name, _) in std::env::vars_os() {
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.to_string_lossy().starts_with(start));
        if told {
            build.env_remove(name);
        }
    }
    let output = build.current_dir(root).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let artifacts = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let service =
        artifacts.filter_map(|artifact| artifact["executable"].as_str().map(str::to_owned)).next_back().unwrap();

    let mut check = Command::new(root.join("scripts/deploy-check"));
    let check = check.args([env!("CARGO_BIN_EXE_payproof"), &*service]).env_remove("REDIS_URL").output().unwrap();
    let said = [check.stdout, check.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(check.status.success(), "{said}");
    assert!(said.contains("ok: 50 clicks with one key") && said.contains("a failover may lose"), "{said}");
}
