//! The commands of README.md work as written.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use kit::stack::Launch;

use crate::stage;

/// Commands that are not for this test: the first installs and runs everything, the last two need
/// another terminal and an account.
const NOT_HERE: &[&str] = &["cargo run ", "sam build"];

/// The shell commands of README, block by block.
fn blocks(readme: &str) -> Vec<&str> {
    let blocks = readme
        .split("\n```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("\n```").next());
    blocks
        .filter(|block| !NOT_HERE.iter().any(|start| block.starts_with(start)))
        .collect()
}

/// The receiver of README, which ends with the test.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

/// Replaces the ports of README by free ones.
fn at_home(block: &str, api: &str, receiver: u16) -> String {
    let receiver = format!("127.0.0.1:{receiver}");
    let tuple = receiver.replace(':', "\", ");
    block
        .replace("http://127.0.0.1:8080", api)
        .replace("127.0.0.1:9000", &receiver)
        .replace("127.0.0.1\", 9000", &tuple)
}

#[tokio::test]
async fn every_command_of_readme_works_as_it_is_written() {
    let readme =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md"))
            .unwrap();
    let stack = Launch::of(env!("CARGO_BIN_EXE_waybill")).start().await;
    let home = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(stack.data(), home.path().join(".waybill")).unwrap();
    let api = stack.local_json()["api_url"].as_str().unwrap().to_owned();
    let free = servers::program::free_port();
    let blocks: Vec<String> = blocks(&readme)
        .into_iter()
        .map(|block| at_home(block, &api, free))
        .collect();
    let (secret, receiver, rest) = (&blocks[0], &blocks[1], &blocks[2..]);
    assert!(
        secret.starts_with("echo \"whsec_")
            && receiver.contains("serve_forever")
            && rest.len() >= 7,
        "{blocks:#?}"
    );
    let shell = |script: &str| {
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(home.path());
        command
    };
    assert!(shell(secret).status().unwrap().success());
    let printed = home.path().join("printed");
    let output = std::fs::File::create(&printed).unwrap();
    // `exec`, so that what is killed is the receiver and not the shell around it.
    let _receiver = Background(
        shell(&format!("exec {receiver}"))
            .stdout(Stdio::from(output))
            .spawn()
            .unwrap(),
    );
    stage::until("the receiver listens", async || connects_to(free)).await;
    for (number, block) in rest.iter().enumerate() {
        // The key is read in the first of them and used by all.
        let key = rest[0]
            .lines()
            .next()
            .filter(|_| number > 0)
            .unwrap_or_default();
        let output = shell(&format!("{key}\n{block}")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{block}\n{said}{}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
    stage::until(
        "the receiver has verified the check and the message",
        async || {
            let printed = std::fs::read_to_string(&printed).unwrap();
            assert!(!printed.contains("refused"), "{printed}");
            (printed.matches("verified ").count() == 2 && printed.contains(r#"{"report": 42}"#))
                .then_some(())
        },
    )
    .await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "asks the example's receiver on the loopback whether it is there"
)]
fn connects_to(port: u16) -> Option<std::net::TcpStream> {
    std::net::TcpStream::connect(("127.0.0.1", port)).ok()
}
