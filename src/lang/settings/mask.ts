/** A configuration file as it may be shown: secrets are hidden. */
import { isScalar, parseDocument, visit, isMap, isPair } from 'yaml'

/** `isSecret`: whether the value at a path of names (lists add nothing to it) is one. */
export function maskSettings(text: string, isSecret: (path: readonly string[]) => boolean): string {
  const document = parseDocument(text, { prettyErrors: false })
  visit(document, {
    Scalar(key, node, ancestors) {
      if (key === 'key') return
      const path = ancestors.filter(isPair).map(pair => (isScalar(pair.key) ? String(pair.key.value) : ''))
      if (node.value !== null && node.value !== '' && isSecret(path)) node.value = '<secret>'
    },
  })
  return isMap(document.contents) ? document.toString({ lineWidth: 0 }) : text
}
