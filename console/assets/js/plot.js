// Live plots, by uPlot.

/** A colour of the theme, as a canvas takes it. */
function colour(name) {
  const probe = document.createElement('i')
  probe.style.color = `var(--${name})`
  document.body.append(probe)
  const found = getComputedStyle(probe).color
  probe.remove()
  return found
}

/**
 * A plot of one or two series over time.
 * @param {HTMLElement} place
 * @param {{label: string, value: (n: number | null) => string, tick?: (n: number) => string}[]} series value is for words, the first one's
 *   tick for the axis
 */
export class Plot {
  #place
  #series
  #plot
  #data
  #watch
  #signal

  constructor(place, series, signal) {
    this.#place = place
    this.#series = series
    this.#signal = signal
    this.#data = [[], ...series.map(() => [])]
    this.#watch = new ResizeObserver(() => this.#plot?.setSize(this.#size()))
    this.#watch.observe(place)
    const repaint = () => this.#plot && this.#make()
    window.addEventListener('cupline:theme', repaint, { signal })
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint, { signal })
    signal.addEventListener('abort', () => {
      this.#watch.disconnect()
      this.#plot?.destroy()
    })
  }

  #size() {
    return { width: Math.max(this.#place.clientWidth, 120), height: Math.max(this.#place.clientHeight, 60) }
  }

  #make() {
    if (!globalThis.uPlot) {
      // Nothing waits for the library: neither the first paint nor the figures.
      document.getElementById('uplot').addEventListener('load', () => this.#plot || this.#signal.aborted || this.#make(), { once: true })
      return
    }
    this.#plot?.destroy()
    const axis = { stroke: colour('dim'), grid: { stroke: colour('line'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif' }
    const clock = (all) => all.map((at) => new Date(at * 1000).toTimeString().slice(0, all.at(-1) - all[0] < 240 ? 8 : 5))
    this.#plot = new globalThis.uPlot({
      ...this.#size(), padding: [6, 8, 0, 0], legend: { show: false }, cursor: { show: false }, select: { show: false },
      scales: { x: { time: true }, y: { range: (_, __, top) => [0, Math.max(top * 1.1, 1)] } },
      axes: [{ ...axis, size: 20, space: 70, values: (_, all) => clock(all) },
        { ...axis, size: 50, space: 28, values: (_, all) => all.map((n) => this.#series[0].tick(n)) }],
      series: [{}, ...this.#series.map((_, i) => ({
        stroke: colour(`plot-${i + 1}`), width: 2, points: { show: false },
        fill: this.#series.length === 1 ? colour('accent-soft') : undefined,
      }))],
    }, this.#data, this.#place)
  }

  /** Shows samples: the times in seconds, then the values of each series, null where one is not known. */
  show(data) {
    this.#data = data
    if (this.#plot) this.#plot.setData(data)
    else this.#make()
    const last = this.#series.map(({ label, value }, i) => `${label} ${value(data[i + 1].at(-1))}`).join(', ')
    this.#place.setAttribute('role', 'img')
    this.#place.setAttribute('aria-label', `plot of the last minutes; now ${last}`)
  }
}
