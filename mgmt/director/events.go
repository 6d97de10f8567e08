package director

import (
	"go.uber.org/zap"

	"turnout/mgmt/events"
)

// Events is that of api.Director.
func (d *Director) Events() *events.Hub { return d.config.Events }

// emit tells of an event to those who follow them and to the log. The zero address of key stands for the whole service.
func (d *Director) emit(kind events.Kind, key realKey, text string) {
	subject, fields := "service "+key.service, []zap.Field{zap.String("service", key.service)}
	if key.address.IsValid() {
		subject = "real server " + key.address.String() + " of " + subject
		fields = append(fields, zap.Stringer("real_server", key.address))
	}
	d.config.Events.Emit(kind, key.service, key.address, subject+" "+text)
	d.config.Log.Info(subject+" "+text, fields...)
}
