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
  else loginView({ root, session, api, outages })
}

onRoute(show)
session.addEventListener('begin', show)
session.addEventListener('end', ({ detail }) => {
  shell.close()
  loginView({ root, session, api, outages, why: detail })
})
show()
