//! curl over HTTPS, from a server that only `/etc/hosts` and an authority of our own vouch for.

use tests::outcome::run;
use tests::require;
use tests::scratch::Scratch;
use tests::server::{NAME, Server};

use super::pack_recipe;

#[test]
fn curl_fetches_over_https_by_name() {
    if !require::root() || require::program("curl").is_none() {
        return;
    }
    let scratch = Scratch::new("curl");
    let files = scratch.subfolder("files");
    std::fs::write(files.join("greeting"), "ahoy over TLS\n").unwrap();
    let Some(server) = Server::start(&files, &scratch.subfolder("keys")) else { return };
    let hosts = scratch.file("hosts", format!("127.0.0.1 {NAME}\n"));
    let hosts = format!("{}:/etc/hosts:ro", hosts.display());
    let authority = format!("{}:/authority.pem:ro", server.authority().display());
    scratch.pack(&["curl"]);

    let url = server.url("greeting");
    let options = ["--net", "host", "--volume", &hosts, "--volume", &authority];
    let fetch = |arguments: &[&str]| run(&mut scratch.launch(&options, "curl", arguments));
    let outcome = fetch(&["-sS", "--cacert", "/authority.pem", &url]).ok();
    assert_eq!(outcome.text(), "ahoy over TLS");
    // The image's own certificates do not know the authority: 60 is curl's status for that, and
    // would be 77 if the image had no certificates at all.
    fetch(&["-sS", &url]).exits(60);
    // Without the host's network there is no way to the server.
    let isolated = ["--volume", &hosts, "--volume", &authority];
    let arguments = ["-sS", "--cacert", "/authority.pem", &url];
    run(&mut scratch.launch(&isolated, "curl", &arguments)).exits(7);
}

#[test]
fn a_recipe_can_bring_the_authority() {
    if !require::root() || require::program("curl").is_none() {
        return;
    }
    let scratch = Scratch::new("authority");
    let files = scratch.subfolder("files");
    std::fs::write(files.join("greeting"), "ahoy\n").unwrap();
    let Some(server) = Server::start(&files, &scratch.subfolder("keys")) else { return };
    let recipe = r#"
        executables = ["curl"]
        env = { CURL_CA_BUNDLE = "/etc/ssl/authority.pem" }
        files = [{ source = "keys/authority.pem", destination = "/etc/ssl/" }]
    "#;
    pack_recipe(&scratch, "fetch", recipe);
    let host = format!("{NAME}:127.0.0.1");
    let options = ["--net", "host", "--add-host", &host];
    let outcome = run(&mut scratch.launch(&options, "fetch", &["-sS", &server.url("greeting")]));
    assert_eq!(outcome.ok().text(), "ahoy");
}
