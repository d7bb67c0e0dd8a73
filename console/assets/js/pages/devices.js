// Devices: which there are, and one of them.
import { fill, h, value, visible } from '../dom.js'
import { chips, filterForm } from '../filters.js'
import { count } from '../format.js'
import { bindKeys } from '../keys.js'
import { live } from '../live.js'
import { empty, failed, pageHead, skeleton, tag } from '../parts.js'
import { go, href } from '../route.js'
import { Table } from '../table.js'
import { page as devicePage } from './device.js'

export function page(ctx) {
  if (ctx.route.about !== '') return devicePage(ctx)
  const { main, signal, route: { query } } = ctx
  const head = pageHead('Devices')
  const [place, foot] = [h('div', null, skeleton(10)), h('div', { class: 'more' })]
  const open = (device) => go(href(`devices/${device.device}`))
  const table = new Table({
    label: 'Devices', key: (device) => device.device, open,
    none: empty('No devices', 'None fits. Devices are made with `cupline devices put`, or PUT /v1/devices/…'),
    columns: [
      { name: 'Device', cell: (device) => h('a', { href: href(`devices/${device.device}`) }, value(device.device)) },
      { name: 'Type', class: 'tight', cell: (device) => [value(device.type), device.paused && [' ', tag('paused', 'warn')]] },
      { name: 'Lane', class: 'tight', cell: (device) => value(table.types?.get(device.type)?.lane ?? '') },
      { name: 'Driver', class: 'tight', cell: (device) => value(table.types?.get(device.type)?.driver ?? '') },
      { name: 'Labels', cell: (device) => Object.keys(device.labels ?? {}).length > 0 && h('span', { class: 'chips' }, Object.entries(device.labels).map(([name, of]) => h('span', { class: 'tag' }, visible(`${name}: ${of}`)))) },
    ],
  })
  fill(main, head.element, filterForm({ path: 'devices', query, fields: [{ name: 'text', label: 'Id or label', wide: true }, { name: 'type', label: 'Type' }] }), chips('devices', query, ['text', 'type']), place, foot)
  const load = async (s) => {
    const [{ devices, next }, { device_types: types }] = await Promise.all([
      ctx.api.get('/v1/devices', { text: query.text, type: query.type, after: query.after, limit: 100 }, s), ctx.api.get('/v1/device-types', { limit: 1000 }, s)])
    return { devices, next, types }
  }
  const list = live(signal, 30_000, load, ({ devices, next, types }) => {
    head.updated()
    table.types = new Map(types.map((type) => [type.type, type]))
    if (!place.contains(table.element)) fill(place, table.element)
    table.show(devices)
    fill(foot, h('span', null, `${count(devices.length)} on this page`), h('span', { class: 'row' },
      query.after && h('a', { class: 'button small', href: href('devices', { ...query, after: '' }) }, 'First page'),
      next && h('a', { class: 'button small', href: href('devices', { ...query, after: next }) }, 'Next page')))
  }, (error) => {
    head.stale()
    if (!error.temporary || !place.contains(table.element)) fill(place, failed(error, () => list.refresh()))
  })
  bindKeys(signal, table.keys)
}
