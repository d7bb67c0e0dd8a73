// Package process runs programs that outlive whoever starts them: each in a session of its own, logging to a file,
// noted in a pid file, and, started by root, as an unprivileged user.
//
// A pid file names its process so that no stranger is ever signalled: by pid and start time, and by a token in the
// environment that every descendant inherits. So what a killed earlier run left behind is found again with [Find] or
// [End], children of a dead leader included, and a pid that was given to another program meanwhile is left alone.
// Nothing here adopts an orphan by itself: [Start] refuses while the pid file's process lives, and its caller decides
// whether to [End] it first or to use it as [Find] returns it.
package process
