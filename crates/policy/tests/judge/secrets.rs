//! Secrets, and a search for them that did not take place.

use expect_test::expect;

use crate::support::Image;

#[test]
fn secrets_that_nobody_looked_for() {
    let mut image = Image::with(&[]);
    image.check(
        "secrets: deny",
        expect![[r#"
        unknown
        - unknown secrets: the image was not searched for secrets
    "#]],
    );
    image.check(
        "secrets: audit",
        expect![[r#"
        pass
        - pass secrets: the image was not searched for secrets
    "#]],
    );
    image.secrets = Some(0);
    image.check(
        "secrets: deny",
        expect![[r#"
        pass
        - pass secrets: no secret was found
    "#]],
    );
    image.secrets = Some(2);
    image.check(
        "secrets: deny",
        expect![[r#"
            fail
            - fail secrets: secrets that were found: 2
        "#]],
    );
    image.check(
        "secrets: audit",
        expect![[r#"
            pass
            - pass secrets: secrets that were found: 2
        "#]],
    );
}
