package load

import (
	"encoding/json"
	"errors"
	"net/http"
)

// batchAnswer is the answer to a batch, as far as it is looked at; openapi.yaml, AcceptedBatch.
type batchAnswer struct {
	Items []struct {
		State string `json:"state"`
	} `json:"items"`
}

// judge tells the fate of each command of one POST. No answer, 500 and 504 leave it in doubt; any other status but 202
// means that nothing was accepted. A batch says it of each.
func judge(status int, answer []byte, err error, count int) []fate {
	fates := make([]fate, count)
	whole := refused
	switch {
	case errors.Is(err, errNotSent):
	case err != nil, status == http.StatusInternalServerError, status == http.StatusGatewayTimeout:
		whole = doubtful
	case status == http.StatusAccepted && count == 1:
		whole = accepted
	}
	for i := range fates {
		fates[i] = whole
	}
	if count == 1 || status != http.StatusAccepted || err != nil {
		return fates
	}
	var said batchAnswer
	if json.Unmarshal(answer, &said) != nil || len(said.Items) != count {
		said.Items = nil
	}
	for i := range fates {
		fates[i] = doubtful
		if said.Items == nil {
			continue
		}
		switch said.Items[i].State {
		case "accepted":
			fates[i] = accepted
		case "refused":
			fates[i] = refused
		}
	}
	return fates
}
