/**
 * Reads a bill of materials of everything in a checkout, and writes the one of what the package brings along: the
 * packages that are built in.
 *
 *   npm sbom --sbom-format=cyclonedx | node tools/bill-of-materials.ts > tercet.cdx.json      spdx as well
 */
import { text } from 'node:stream/consumers'
import { readBundledPackages } from './bundled-packages.ts'
import { programDirectory } from './program-entries.ts'

/** The parts of both formats that are read here; all else stays as it is. */
interface Bill {
  metadata?: { component: { 'bom-ref': string } }
  components?: { 'bom-ref': string; name: string; version: string }[]
  dependencies?: { ref: string; dependsOn?: string[] }[]
  packages?: { SPDXID: string; name: string; versionInfo: string }[]
  relationships?: { spdxElementId: string; relatedSpdxElement: string }[]
}

const own = 'tercet'
const bundled = new Set(readBundledPackages([programDirectory, 'ui/dist']).map(p => `${p.name} ${p.version}`))

function cycloneBill(bill: Bill): Bill {
  const components = (bill.components ?? []).filter(({ name, version }) => bundled.has(`${name} ${version}`))
  const references = new Set([...components.map(c => c['bom-ref']), bill.metadata?.component['bom-ref']])
  const dependencies = (bill.dependencies ?? [])
    .filter(({ ref }) => references.has(ref))
    .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter(to => references.has(to)) }))
  return { ...bill, components, dependencies }
}

function spdxBill(bill: Bill): Bill {
  const packages = (bill.packages ?? []).filter(
    ({ name, versionInfo }) => name === own || bundled.has(`${name} ${versionInfo}`),
  )
  const references = new Set(['SPDXRef-DOCUMENT', ...packages.map(({ SPDXID }) => SPDXID)])
  const relationships = (bill.relationships ?? []).filter(
    ({ spdxElementId, relatedSpdxElement }) => references.has(spdxElementId) && references.has(relatedSpdxElement),
  )
  return { ...bill, packages, relationships }
}

const bill = JSON.parse(await text(process.stdin)) as Bill
const found = bill.components === undefined ? spdxBill(bill) : cycloneBill(bill)
const count = found.components?.length ?? (found.packages?.length ?? 0) - 1
if (count < bundled.size) throw new Error(`${count} of ${bundled.size} packages are in the bill that was read`)
console.log(JSON.stringify(found, undefined, 2))
