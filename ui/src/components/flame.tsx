import { useEffect, useRef } from 'preact/hooks'
import { greatest } from '../extremes.ts'
import type { SpanRow, TraceTree } from '../trace-tree.ts'

/** Depth downwards, time to the right; drawn, so that many spans cost nothing. */
export function Flame({
  tree,
  chosen,
  onChoose,
}: {
  tree: TraceTree
  chosen: SpanRow | undefined
  onChoose: (span: SpanRow) => void
}) {
  const canvas = useRef<HTMLCanvasElement | null>(null),
    depth = Math.min(200, greatest(tree.rows.map(r => r.depth)) + 1),
    height = depth * 20,
    whole = Math.max(1, Number(tree.endNs - tree.startNs))
  useEffect(() => {
    const element = canvas.current,
      context = element?.getContext('2d')
    if (element === null || context === null || context === undefined) return
    const scale = devicePixelRatio || 1,
      width = element.clientWidth,
      css = getComputedStyle(document.documentElement)
    element.width = width * scale
    element.height = height * scale
    context.scale(scale, scale)
    context.font = '11px system-ui'
    for (const row of tree.rows) {
      const x = (Number(row.startNs - tree.startNs) / whole) * width,
        w = Math.max(1, (Number(row.endNs - row.startNs) / whole) * width - 0.5)
      context.fillStyle = css.getPropertyValue(`--c${tree.services.indexOf(row.service) % 10}`)
      context.globalAlpha = row === chosen ? 1 : 0.75
      context.fillRect(x, row.depth * 20, w, 18)
      if (w > 40) {
        context.globalAlpha = 1
        context.fillStyle = css.getPropertyValue('--bg')
        context.fillText(row.name.slice(0, Math.floor(w / 6)), x + 3, row.depth * 20 + 13)
      }
    }
  })
  const pick = (event: MouseEvent): void => {
    const bounds = canvas.current!.getBoundingClientRect(),
      level = Math.floor((event.clientY - bounds.top) / 20),
      at = tree.startNs + BigInt(Math.round(((event.clientX - bounds.left) / bounds.width) * whole)),
      found = tree.rows.find(r => r.depth === level && r.startNs <= at && r.endNs >= at)
    if (found !== undefined) onChoose(found)
  }
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Flame view">
      <canvas
        ref={canvas}
        role="img"
        aria-label={`${tree.rows.length} spans by depth and time`}
        style={{ width: '100%', height: `${height}px` }}
        onClick={pick}
      />
    </div>
  )
}
