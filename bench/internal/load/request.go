package load

import "strconv"

// appendRequest writes one JSON-RPC request, filled up to size bytes.
func appendRequest(dst []byte, id int64, method string, size int) []byte {
	begin := len(dst)
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	dst = strconv.AppendInt(dst, id, 10)
	dst = append(dst, `,"method":"`...)
	dst = append(dst, method...)
	dst = append(dst, `","params":{"on":true,"fill":"`...)
	const end = `"}}`
	for len(dst)-begin < size-len(end) {
		dst = append(dst, 'x')
	}
	return append(dst, end...)
}

// appendBody writes a request, or an array of them with consecutive ids.
func appendBody(dst []byte, first int64, count int, method string, size int) []byte {
	if count == 1 {
		return appendRequest(dst, first, method, size)
	}
	dst = append(dst, '[')
	for i := range count {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendRequest(dst, first+int64(i), method, size)
	}
	return append(dst, ']')
}
