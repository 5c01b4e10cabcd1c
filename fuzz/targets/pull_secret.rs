//! A pull secret of either form, and the image that it may be for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_registry::{PullSecretForm, PullSecrets, Reference};

fuzz_target!(|input: (&str, &str)| {
    let (text, image) = input;
    let Ok(reference) = image.parse::<Reference>() else { return };
    for form in [PullSecretForm::DockerConfigJson, PullSecretForm::DockerCfg] {
        let mut secrets = PullSecrets::default();
        if secrets.add(form, text).is_ok() {
            _ = secrets.for_image(&reference);
        }
    }
});
