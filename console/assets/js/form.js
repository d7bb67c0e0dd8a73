// A form made of a JSON Schema. What it cannot ask for with fields is asked for as JSON; whether it is right, the API says.
import { h, value } from './dom.js'
import { field } from './parts.js'

/**
 * @typedef {object} Part of a form
 * @property {HTMLElement} element
 * @property {() => unknown} read the value; undefined where nothing was given
 * @property {(pointer: string, words: string) => boolean} complain shows words at the field that a JSON pointer names; false where there is none
 */

/** The form of a schema. @returns {Part} */
export function schemaForm(schema, initial) {
  if (typeof schema === 'object' && schema !== null && schema.type === 'object' && schema.properties) return objectPart('', schema, true, initial ?? schema.default)
  return jsonPart('Params, as JSON', schema === undefined ? 'The method has no schema: any object or array.' : describe(schema), false, initial)
}

function part(name, schema, required, initial) {
  const label = [value(schema?.title ?? name), required ? '' : h('span', { class: 'dim' }, ' (optional)')]
  const hint = describe(schema)
  const start = initial ?? schema?.default
  if (typeof schema !== 'object' || schema === null) return jsonPart(label, '', required, start)
  if (Array.isArray(schema.enum)) return choicePart(label, hint, schema.enum, required, start)
  if ('const' in schema) return choicePart(label, hint, [schema.const], required, start)
  switch (schema.type) {
    case 'boolean': return choicePart(label, hint, [true, false], required, start)
    case 'integer': case 'number': return numberPart(label, hint, schema, required, start)
    case 'string': return textPart(label, hint, schema, required, start)
    case 'object': return schema.properties ? objectPart(name, schema, required, start) : jsonPart(label, hint, required, start)
    default: return jsonPart(label, hint, required, start)
  }
}

function describe(schema) {
  if (typeof schema !== 'object' || schema === null) return ''
  const { minimum, maximum, minLength, maxLength, pattern, format, description } = schema
  const limits = [
    minimum !== undefined && `at least ${minimum}`, maximum !== undefined && `at most ${maximum}`, minLength > 0 && `${minLength} characters or more`,
    maxLength !== undefined && `${maxLength} characters at most`, pattern && `as ${pattern}`, format,
  ].filter(Boolean).join(', ')
  return [description, limits].filter(Boolean).join(' — ')
}

/** A control with its label, its hint, and room for what is wrong. @returns {Part} */
function single(label, hint, control, read) {
  const wrong = h('span', { class: 'wrong', role: 'alert' })
  const element = h('div', null, field(label, control), hint && h('span', { class: 'hint' }, value(hint)), ' ', wrong)
  control.addEventListener('input', () => {
    wrong.textContent = ''
    control.setCustomValidity('')
  })
  return { element, read, complain(pointer, words) {
    if (pointer !== '') return false
    wrong.textContent = words
    control.focus()
    return true
  } }
}

function choicePart(label, hint, choices, required, start) {
  const at = choices.findIndex((choice) => JSON.stringify(choice) === JSON.stringify(start))
  const control = h('select', null, required ? null : h('option', { value: '' }, '—'),
    choices.map((choice, i) => h('option', { value: String(i), selected: i === at }, typeof choice === 'string' ? choice : JSON.stringify(choice))))
  return single(label, hint, control, () => control.value === '' ? undefined : choices[Number(control.value)])
}

function numberPart(label, hint, { type, minimum, maximum }, required, start) {
  const control = h('input', { type: 'number', required, min: minimum, max: maximum, step: type === 'integer' ? '1' : 'any', value: start ?? '' })
  return single(label, hint, control, () => control.value === '' ? undefined : Number(control.value))
}

function textPart(label, hint, { minLength, maxLength }, required, start) {
  const long = maxLength === undefined || maxLength > 200 ? {} : { maxlength: maxLength }
  const control = h('input', { type: 'text', required: required && minLength > 0, spellcheck: 'false', autocomplete: 'off', ...long, value: start ?? '' })
  return single(label, hint, control, () => control.value === '' && !required ? undefined : control.value)
}

function jsonPart(label, hint, required, start) {
  const control = h('textarea', { required, spellcheck: 'false', value: start === undefined ? '' : JSON.stringify(start, null, 2) })
  return single(label, hint, control, () => {
    if (control.value.trim() === '') return undefined
    try {
      return JSON.parse(control.value)
    } catch (error) {
      control.setCustomValidity(`This is no JSON: ${error.message}`)
      control.reportValidity()
      throw error
    }
  })
}

function objectPart(name, schema, required, start) {
  const needed = new Set(schema.required)
  const parts = new Map(Object.entries(schema.properties).map(([key, of]) => [key, part(key, of, required && needed.has(key), start?.[key])]))
  const element = h('fieldset', null, name && h('legend', null, value(schema.title ?? name)), [...parts.values()].map((one) => one.element))
  return {
    element,
    read() {
      const entries = [...parts].map(([key, one]) => [key, one.read()]).filter(([, of]) => of !== undefined)
      return entries.length === 0 && !required ? undefined : Object.fromEntries(entries)
    },
    complain(pointer, words) {
      const [, key, ...rest] = pointer.split('/')
      return parts.get(key?.replaceAll('~1', '/').replaceAll('~0', '~'))?.complain(rest.length > 0 ? `/${rest.join('/')}` : '', words) ?? false
    },
  }
}
