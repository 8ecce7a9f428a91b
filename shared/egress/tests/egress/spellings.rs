//! Tests that a host is recognised in every notation.

use egress::{Host, Policy, Refusal, Schemes, Target};

fn parse(url: &str) -> Result<Target, Refusal> {
    Target::parse(url, Schemes::HttpAndHttps)
}

#[test]
fn every_spelling_of_an_inner_address() {
    for (host, address) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("017700000001", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("1２7.0.0.1", "127.0.0.1"),
        ("127。0。0。1", "127.0.0.1"),
        ("①②⑦.⓪.⓪.①", "127.0.0.1"),
        ("%31%32%37.0.0.1", "127.0.0.1"),
        ("127.0.0%2e1", "127.0.0.1"),
        ("0", "0.0.0.0"),
        ("0xa9fea9fe", "169.254.169.254"),
        ("169.16689662", "169.254.169.254"),
        ("0251.0376.0251.0376", "169.254.169.254"),
        ("[::1]", "::1"),
        ("[::]", "::"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("[::ffff:127.0.0.1]", "127.0.0.1"),
        ("[::ffff:a9fe:a9fe]", "169.254.169.254"),
        ("[64:ff9b::a9fe:a9fe]", "64:ff9b::a9fe:a9fe"),
        ("[fd00:ec2::254]", "fd00:ec2::254"),
    ] {
        let address = Host::Address(address.parse().unwrap());
        assert_eq!(Host::parse(host).as_ref(), Ok(&address), "{host}");
        for url in [
            format!("https://{host}/hook"),
            format!("http://{host}:8080"),
            format!("https:\\\\{host}\\hook"),
        ] {
            let target = parse(&url).unwrap_or_else(|refusal| panic!("{url}: {refusal}"));
            assert_eq!(target.host(), &address, "{url}");
            let refusal = Policy::public().admit(target.host()).unwrap_err();
            assert!(refusal.is_blocked_address(), "{url}");
        }
    }
    assert_eq!(
        Host::parse("::1"),
        Ok(Host::Address("::1".parse().unwrap())),
        "brackets are for URLs"
    );
}

#[test]
fn names_are_normalised() {
    for (host, name) in [
        ("Hooks.Example.COM", "hooks.example.com"),
        ("hooks.example.com.", "hooks.example.com"),
        ("hooks%2Eexample.com", "hooks.example.com"),
        ("ｈooks.example.com", "hooks.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("localhost", "localhost"),
        ("my_host.example", "my_host.example"),
        ("1.2.3.4.example", "1.2.3.4.example"),
    ] {
        let name = Host::Name(name.to_owned());
        assert_eq!(Host::parse(host).as_ref(), Ok(&name), "{host}");
        assert_eq!(
            parse(&format!("https://{host}/")).unwrap().host(),
            &name,
            "{host}"
        );
        assert_eq!(
            Policy::public().admit(&name),
            Ok(()),
            "a name is judged when it is resolved"
        );
    }
}

#[test]
fn targets_are_normalised() {
    let target = parse(
        "HTTPS://Hooks.Example.com.:443/a b/../c?q=1#secret"
            .replace(' ', "%20")
            .as_str(),
    )
    .unwrap();
    assert_eq!(target.url().as_str(), "https://hooks.example.com/c?q=1");
    assert_eq!((target.port(), target.is_tls()), (443, true));
    let target = parse("http://[::ffff:192.0.2.1]:8080/").unwrap();
    assert_eq!(
        (target.url().as_str(), target.port(), target.is_tls()),
        ("http://192.0.2.1:8080/", 8080, false)
    );
}

#[test]
fn misleading_urls_are_refused() {
    let long_label = format!("https://{}.example/", "a".repeat(64));
    let long_name = format!("https://{}example/", "abcdefg.".repeat(32));
    for (url, refusal) in [
        ("https://user@example.com/", Refusal::UserInfo),
        ("https://user:secret@example.com/", Refusal::UserInfo),
        ("https://:@example.com/", Refusal::UserInfo),
        ("https://@example.com/", Refusal::UserInfo),
        ("https:\\\\@example.com/", Refusal::UserInfo),
        ("https://[fe80::1%25eth0]/", Refusal::Zone),
        ("https://example.com:0/", Refusal::PortZero),
        ("https://a..example/", Refusal::EmptyLabel),
        ("https://.example/", Refusal::EmptyLabel),
        ("https://example.com../", Refusal::EmptyLabel),
        ("https://./", Refusal::EmptyLabel),
        ("https://", Refusal::EmptyLabel),
        ("https://exa mple.com/", Refusal::Characters),
        (" https://example.com/", Refusal::Characters),
        ("https://example.com/\n", Refusal::Characters),
        ("https://exam\tple.com/", Refusal::Characters),
        (
            "ftp://example.com/",
            Refusal::Scheme {
                accepted: "https or http",
            },
        ),
        (
            "file:///etc/passwd",
            Refusal::Scheme {
                accepted: "https or http",
            },
        ),
        (
            "gopher://127.0.0.1:25/",
            Refusal::Scheme {
                accepted: "https or http",
            },
        ),
        (&long_label, Refusal::TooLong),
        (&long_name, Refusal::TooLong),
    ] {
        assert_eq!(parse(url), Err(refusal), "{url}");
    }
    for url in [
        "",
        "example.com",
        "/hook",
        "https://exa<mple.com/",
        "https://1.2.3.4.5/",
        "https://256.0.0.1/",
        "https://example.com:99999/",
        "https://[::1/",
    ] {
        assert!(!parse(url).unwrap_err().is_blocked_address(), "{url}");
    }
    for host in [
        "",
        "a b",
        "user@host",
        "a/b",
        "host:22",
        "fe80::1%eth0",
        "[fe80::1%25eth0]",
        "..",
        "a..b",
        "1.2.3.4.5",
    ] {
        assert!(
            !Host::parse(host).unwrap_err().is_blocked_address(),
            "{host}"
        );
    }
}

#[test]
fn a_backslash_ends_the_authority() {
    let target = parse("https://example.com\\@127.0.0.1/").unwrap();
    assert_eq!(target.host(), &Host::Name("example.com".to_owned()));
}

#[test]
fn plain_http_where_allowed() {
    let refusal =
        Target::parse("http://example.com/", Schemes::with_plain_http(false)).unwrap_err();
    assert_eq!(
        (refusal.to_string().as_str(), refusal.is_blocked_address()),
        ("the scheme must be https", false)
    );
    assert!(Target::parse("http://example.com/", Schemes::with_plain_http(true)).is_ok());
    assert!(Target::parse("https://example.com/", Schemes::with_plain_http(false)).is_ok());
}
