import { defineConfig } from 'vite'
import { listBundledPackages } from '../tools/bundled-packages.ts'

export default defineConfig({
  root: import.meta.dirname,
  base: '/',
  plugins: [listBundledPackages()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
    reportCompressedSize: false,
  },
  resolve: {
    dedupe: [
      '@lezer/common',
      '@lezer/lr',
      '@lezer/highlight',
      '@codemirror/state',
      '@codemirror/view',
      '@codemirror/language',
    ],
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  logLevel: 'warn',
})
