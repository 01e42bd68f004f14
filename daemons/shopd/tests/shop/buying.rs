//! The whole way, and what pages are like.

use axum::http::StatusCode;
use tollwire_invoice::Invoice;

use crate::bank::{Bank, now};
use crate::shop::{Folder, GOODS, Shop, attribute, header, location, song, value};

#[tokio::test]
async fn a_song_is_bought_paid_and_delivered_once() {
    let (mut shop, bank) = Shop::with_song(300_000, "").await;
    let page = shop.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("A song") && page.text().contains("€2.50"));
    assert_eq!(attribute(&page.text(), "data-state="), "goods");

    let order = shop.order("song").await;
    assert_eq!(shop.state(&order).await, "methods");
    let early = shop.get(&format!("{order}/goods")).await;
    assert_eq!(early.status, StatusCode::PAYMENT_REQUIRED);

    let form = shop.choose(&order, &bank.thumbprint()).await;
    assert_eq!(attribute(&form, "data-state="), "form");
    assert!(
        form.contains(&format!("action=\"{}/pay\"", bank.url)),
        "{form}"
    );
    for part in [
        "id=\"account\"",
        "id=\"pin\"",
        "type=\"password\"",
        "id=\"pay\"",
    ] {
        assert!(form.contains(part), "{part}: {form}");
    }
    assert_eq!(shop.state(&order).await, "waiting");

    let jws = value(&form, "invoice");
    let received = Invoice::read(&jws, &bank.thumbprint(), now()).unwrap();
    let invoice = &received.invoice;
    assert_eq!(invoice.amount_micro, 2_500_000);
    assert_eq!(
        (invoice.title.as_str(), invoice.provider.as_str()),
        ("A song", "Die Amsel")
    );
    assert_eq!(invoice.tax_basis_points, 1_900);
    assert!(invoice.service_url.ends_with(&order));
    let key = shop.admin("/key").await;
    assert_eq!(key["thumbprint"], received.key.thumbprint());

    let answer = shop.acknowledge(&bank.acknowledge(&jws)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(shop.state(&order).await, "paid");

    let goods = format!("{order}/goods");
    let head = shop.send("HEAD", &goods, &[], String::new()).await;
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(header(&head, "content-length"), "300000");
    assert_eq!(header(&head, "accept-ranges"), "bytes");
    assert_eq!(shop.state(&order).await, "paid", "a look is no delivery");

    let guessed = [("sec-purpose", "prefetch;prerender")];
    let guess = shop.get_with(&goods, &guessed).await;
    assert_eq!(guess.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(shop.state(&order).await, "paid", "nor is a guess");

    let delivered = shop.get(&goods).await;
    assert_eq!(delivered.status, StatusCode::OK);
    assert_eq!(delivered.body, song(300_000));
    assert_eq!(header(&delivered, "content-type"), "audio/flac");
    assert_eq!(
        header(&delivered, "content-disposition"),
        "attachment; filename*=UTF-8''song.flac"
    );
    let again = shop.get(&goods).await;
    assert_eq!(again.status, StatusCode::GONE);
    assert_eq!(attribute(&again.text(), "data-state="), "delivered");
    assert_eq!(shop.state(&order).await, "delivered");

    let orders = shop.admin("/orders").await;
    assert_eq!(orders[0]["state"], "delivered");
    assert_eq!(orders[0]["paid_by"], bank.thumbprint());
    assert_eq!(orders[0]["sent_octets"], 300_000);
    assert_eq!(
        shop.metric("shopd_delivered_total").await.unwrap(),
        "shopd_delivered_total 1"
    );
    assert!(shop.stop().success());
}

#[tokio::test]
async fn the_form_of_the_billing_server_itself_is_shown() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("goods/song.flac"), song(10)).unwrap();
    let bank = Bank::start(&folder.0, "Bank", true).await;
    let shop = Shop::start(folder, &[&bank], GOODS, "").await;
    let order = shop.order("song").await;
    let form = shop.choose(&order, &bank.thumbprint()).await;
    for part in ["Customer number", "id=\"word\"", "Account"] {
        assert_eq!(
            form.contains(part),
            part != "Customer number",
            "{part}: {form}"
        );
    }
}

#[tokio::test]
async fn pages_speak_german_where_that_is_asked_for() {
    let (shop, bank) = Shop::with_song(10, "").await;
    let german = [("accept-language", "de-AT,en;q=0.5")];
    let page = shop.get_with("/goods/song", &german).await.text();
    assert!(
        page.contains("lang=\"de\"") && page.contains("Ein Lied"),
        "{page}"
    );
    assert!(page.contains("Für 2,50\u{a0}€ kaufen"), "{page}");
    // By the address, and from there on: also in the invoice.
    let page = shop.get("/goods/song?lang=de").await.text();
    let fields = [
        ("token", value(&page, "token")),
        ("lang", value(&page, "lang")),
    ];
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, it)| (*name, it.as_str()))
        .collect();
    let path = location(&shop.post("/goods/song/order", &fields).await);
    assert!(path.ends_with("?lang=de"), "{path}");
    let page = shop.get(&path).await.text();
    assert!(
        page.contains("Wie möchten Sie bezahlen?") && page.contains("Ein Lied"),
        "{page}"
    );
    assert!(page.contains(&bank.name));
    // What was fetched of it is not trusted: it is text.
    let english = shop.get("/goods/song?lang=en").await.text();
    assert!(
        english.contains("Four minutes &amp; &lt;more&gt;."),
        "{english}"
    );
}

#[tokio::test]
async fn the_cheapest_is_chosen_by_the_shop() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("goods/song.flac"), song(10)).unwrap();
    let bank = Bank::start(&folder.0, "Bank", false).await;
    let shop = Shop::start(
        folder,
        &[&bank],
        GOODS,
        "[methods]\noffer = \"cheapest\"\ndiscover = false",
    )
    .await;
    let path = shop.order("song").await;
    assert!(path.contains("/pay/"), "{path}");
    assert_eq!(
        attribute(&shop.get(&path).await.text(), "data-state="),
        "form"
    );
}

#[tokio::test]
async fn a_price_that_changes_changes_no_order() {
    let (shop, bank) = Shop::with_song(10, "").await;
    let order = shop.order("song").await;
    let goods = GOODS.replace("2.50", "9.99").replace("A song", "Another");
    std::fs::write(shop.folder.0.join("goods.toml"), goods).unwrap();
    let socket = shop.folder.0.join("admin");
    let nothing = serde_json::json!({});
    let reload = || {
        let answer = tollwire_runtime::admin::client::post(&socket, "/reload", &nothing);
        async { answer.await.map(|_: serde_json::Value| ()) }
    };
    reload().await.unwrap();
    assert!(shop.get("/").await.text().contains("€9.99"));
    let form = shop.choose(&order, &bank.thumbprint()).await;
    let jws = value(&form, "invoice");
    let received = Invoice::read(&jws, &bank.thumbprint(), now()).unwrap();
    assert_eq!(received.invoice.amount_micro, 2_500_000);
    assert_eq!(received.invoice.title, "A song");
    // A catalogue that cannot be used is said, and the old one stays.
    std::fs::write(shop.folder.0.join("goods.toml"), "[[good]]\nid = 5").unwrap();
    let error = reload().await.unwrap_err().to_string();
    assert!(error.contains("goods.toml:2"), "{error}");
    assert!(shop.get("/").await.text().contains("€9.99"));
}

#[tokio::test]
async fn goods_outside_of_the_folder_are_refused_by_the_check() {
    let (shop, _bank) = Shop::with_song(10, "").await;
    let link = shop.folder.0.join("goods/link");
    std::os::unix::fs::symlink("/etc/passwd", link).unwrap();
    let check = |goods: &str| {
        std::fs::write(shop.folder.0.join("goods.toml"), goods).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_shopd"))
            .args(["--check", "--config"])
            .arg(shop.config())
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(check(GOODS), (true, String::new()));
    for path in ["link", "missing", "../shopd.toml", "/etc/passwd"] {
        let (right, why) = check(&GOODS.replace("song.flac", path));
        assert!(!right && why.contains("\"song\": path"), "{path}: {why}");
    }
}
