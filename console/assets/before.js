// Runs before the first paint: a chosen theme does not flash, and the frame of the page is painted at once where
// somebody is logged in, before any module is here.
try {
  const { dataset } = document.documentElement
  const theme = localStorage.getItem('cupline-theme')
  if (theme === 'light' || theme === 'dark') dataset.theme = theme
  if (sessionStorage.getItem('cupline-key')) dataset.known = ''
} catch {
  // storage is switched off: the system's theme it is, and a log-in
}
