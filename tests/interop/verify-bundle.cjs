// Verifies bundles with Sigstore's own JavaScript library: node verify-bundle.cjs MODULES SIGNER ROOT BUNDLE…
// SIGNER is the file of a public key, or IDENTITY,ISSUER of a certificate.
const { createRequire } = require('node:module')
const { createPublicKey } = require('node:crypto')
const { readFileSync } = require('node:fs')

const [modules, signer, root, ...bundles] = process.argv.slice(2)
const load = createRequire(`${modules}/`)
const { bundleFromJSON } = load('@sigstore/bundle')
const { TrustedRoot } = load('@sigstore/protobuf-specs')
const { Verifier, toSignedEntity, toTrustMaterial } = load('@sigstore/verify')

const trusted = TrustedRoot.fromJSON(JSON.parse(readFileSync(root)))
const [subjectAlternativeName, issuer] = signer.split(',')
const publicKey = issuer ? undefined : createPublicKey(readFileSync(signer))
const material = toTrustMaterial(trusted, () => ({ publicKey, validFor: () => true }))
const atLeast = issuer ? 1 : 0
const verifier = new Verifier(material, {
  tlogThreshold: atLeast,
  ctlogThreshold: atLeast,
  timestampThreshold: atLeast,
})
const policy = issuer ? { subjectAlternativeName, extensions: { issuer } } : undefined
for (const file of bundles) {
  verifier.verify(toSignedEntity(bundleFromJSON(JSON.parse(readFileSync(file)))), policy)
  console.log(`verified ${file}`)
}
