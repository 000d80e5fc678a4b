package child

import "syscall"

// attributes make the kernel end the child when its parent is gone, however that came about, and
// keep a terminal's Ctrl-C from it: the parent stops its children in order.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
