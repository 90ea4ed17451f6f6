import { useEffect, useRef } from 'preact/hooks'
import { greatest } from '../extremes.ts'

export function Sparkline({ values, label }: { values: readonly (number | null)[]; label: string }) {
  const canvas = useRef<HTMLCanvasElement | null>(null)
  useEffect(() => {
    const element = canvas.current,
      context = element?.getContext('2d')
    if (element === null || context === null || context === undefined) return
    const scale = devicePixelRatio || 1,
      width = element.clientWidth,
      height = element.clientHeight,
      known = values.filter((v): v is number => v !== null),
      most = Math.max(1e-9, greatest(known))
    element.width = width * scale
    element.height = height * scale
    context.scale(scale, scale)
    context.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue('--c0')
    context.lineWidth = 1.5
    context.beginPath()
    let isDown = false
    for (const [i, value] of values.entries()) {
      if (value === null) {
        isDown = false
        continue
      }
      const x = (i / Math.max(1, values.length - 1)) * width,
        y = height - 2 - (value / most) * (height - 4)
      if (isDown) context.lineTo(x, y)
      else context.moveTo(x, y)
      isDown = true
    }
    context.stroke()
  })
  return <canvas ref={canvas} role="img" aria-label={label} />
}
