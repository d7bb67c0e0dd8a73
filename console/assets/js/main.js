// Where it begins: log in, then the page that the address names.
import { Api } from './api.js'
import { loginView } from './login.js'
import { Outages } from './outages.js'
import { onRoute } from './route.js'
import { Session } from './session.js'
import { Shell } from './shell.js'

const root = document.getElementById('app')
const session = new Session()
const outages = new Outages()
const api = new Api(session, outages)
const shell = new Shell({ root, session, outages, api })

/** Shows the view of the address, or asks for a key first. */
function show() {
  if (session.me) shell.show()
  else loginView({ root, session, api })
}

/**
 * After a reload whose key it is is remembered, and the page does not wait to hear it again: a key that is no longer good is
 * refused by the API, whatever is asked. This tells what it may do now.
 */
async function confirm() {
  const { token } = session
  try {
    const me = await api.whose(token)
    if (session.token === token) session.begin(token, me)
  } catch (error) {
    if (session.token === token && !error.temporary) session.end(error.message)
  }
}

onRoute(show)
session.addEventListener('begin', () => {
  shell.close()
  show()
})
session.addEventListener('end', ({ detail }) => {
  shell.close()
  loginView({ root, session, api, why: detail })
})
show()
if (session.me) confirm()
