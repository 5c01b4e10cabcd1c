// Verifies bundles with Sigstore's own JavaScript library: node verify-bundle.cjs MODULES KEY ROOT BUNDLE…
const { createRequire } = require('node:module')
const { createPublicKey } = require('node:crypto')
const { readFileSync } = require('node:fs')

const [modules, key, root, ...bundles] = process.argv.slice(2)
const load = createRequire(`${modules}/`)
const { bundleFromJSON } = load('@sigstore/bundle')
const { TrustedRoot } = load('@sigstore/protobuf-specs')
const { Verifier, toSignedEntity, toTrustMaterial } = load('@sigstore/verify')

const trusted = TrustedRoot.fromJSON(JSON.parse(readFileSync(root)))
const publicKey = createPublicKey(readFileSync(key))
const material = toTrustMaterial(trusted, () => ({ publicKey, validFor: () => true }))
const verifier = new Verifier(material, { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 })
for (const file of bundles) {
  verifier.verify(toSignedEntity(bundleFromJSON(JSON.parse(readFileSync(file)))))
  console.log(`verified ${file}`)
}
