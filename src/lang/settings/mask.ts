/** A configuration file as it may be shown: secrets are hidden. */
import { isAlias, isMap, isPair, isScalar, parseDocument, visit } from 'yaml'
import { hiddenText, maskUrl, maskUrls } from '#core/secret.ts'

/**
 * `isSecret`: whether the value at a path of names (lists add nothing to it) is one. Of other values addresses lose
 * their credentials. Comments are left out.
 */
export function maskSettings(text: string, isSecret: (path: readonly string[]) => boolean): string {
  const document = parseDocument(text, { prettyErrors: false })
  if (!isMap(document.contents)) return maskUrls(text)
  document.commentBefore = null
  document.comment = null
  visit(document, {
    Node(key, node, ancestors) {
      node.comment = null
      node.commentBefore = null
      if (key === 'key') return undefined
      const path = ancestors.filter(isPair).map(pair => (isScalar(pair.key) ? String(pair.key.value) : ''))
      const isHidden = isSecret(path)
      // What an alias stands for may be shown elsewhere.
      if (isAlias(node)) return isHidden ? document.createNode(hiddenText) : undefined
      if (!isScalar(node) || node.value === null || node.value === '') return undefined
      if (isHidden) node.value = hiddenText
      else if (typeof node.value === 'string') node.value = maskUrl(node.value)
      return undefined
    },
  })
  return document.toString({ lineWidth: 0 })
}
